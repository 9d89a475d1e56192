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
def test_an_error_of_the_users_input_is_also_of_pythons_own_kind(name):
    error = getattr(errors, name)("lr must be more than 0, got -1")
    assert isinstance(error, KINDS[name])
    assert isinstance(error, errors.InputError)
    assert str(error) == "lr must be more than 0, got -1"
