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
