"""Times compared with other packages and with the minimum of passes: `python -m bench`."""
