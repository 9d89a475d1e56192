"""The command `python -m sense.export`; imported, the function `sense.export`."""

import sys

if __name__ == "__main__":
    from .network_export import export_main

    export_main()
else:
    from .network_export import export

    # The import of a submodule sets the package's attribute of that name to this entry.
    sys.modules[__name__] = export  # type: ignore[assignment]
