"""Timings beside other packages and beside the machine's limit: `python -m bench`."""
