"""`python -m sense.reproduce`."""

from .command import reproduce_main

if __name__ == "__main__":
    reproduce_main()
