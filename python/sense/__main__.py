"""What commands there are: `python -m sense`."""

import sys

from .cli import show_version

COMMANDS = {
    "sense.train": "train a network, or resume a run",
    "sense.evaluate": "natural and robust accuracy of trained networks, with intervals",
    "sense.report": "one HTML page of evaluated runs; made by R",
    "sense.seal": "record the sums of a run's files as they are, after a change on purpose",
}


def main(argv: list[str] | None = None) -> None:
    """`python -m sense`."""
    show_version(argv)
    width = max(map(len, COMMANDS))
    print("Sensible adversarial training of image classifiers. The commands, each with --help:\n")
    for name, text in COMMANDS.items():
        print(f"  python -m {name:<{width}}  {text}")
    if sys.argv[1:] if argv is None else argv:
        sys.exit(2)


if __name__ == "__main__":
    main()
