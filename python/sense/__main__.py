"""`python -m sense`: the page of `help(sense)`."""

import sys

from . import __doc__ as page
from . import __version__


def main(arguments: list[str]) -> None:
    """Print the version, or the functions and commands; any other argument is an error."""
    if "--version" in arguments:
        print(f"sense {__version__}")
        return
    print(page)
    if arguments:
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
