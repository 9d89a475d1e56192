import shlex
from pathlib import Path

import pytest

from sense import errors

KINDS = {
    "InputError": ValueError,
    "MissingFileError": FileNotFoundError,
    "TakenError": FileExistsError,
    "MissingPackageError": ImportError,
    "NotFiniteError": FloatingPointError,
    "LostProcessError": ConnectionError,
}


@pytest.mark.parametrize("name", KINDS)
def test_an_input_error_is_also_the_matching_built_in_error(name):
    error = getattr(errors, name)("lr must be more than 0, got -1")
    assert isinstance(error, KINDS[name])
    assert isinstance(error, errors.InputError)
    assert str(error) == "lr must be more than 0, got -1"


def test_a_path_in_a_message_can_be_pasted_into_the_shell():
    for name in ("runs/a", "a b", "L\u00e4ufe", "it's"):
        assert shlex.split(errors.in_shell(Path(name))) == [name]
