"""The command `python -m sense.evaluate`; imported, the function `sense.evaluate`."""

import sys

if __name__ == "__main__":
    from .cli import evaluate_main

    evaluate_main()
else:
    from .evaluation.evaluate import evaluate

    # The import of a submodule sets the package's attribute of that name to this entry.
    sys.modules[__name__] = evaluate  # type: ignore[assignment]
