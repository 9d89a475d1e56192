"""Sensible adversarial training (SENSE-AT) of image classifiers, after Kim and Wang.

`sense.attacks` has the adversaries, `sense.train` and `sense.evaluate` are also commands:
`python -m sense.train --help`.
"""

import sys

# `python -m sense.evaluate` would import from the working directory before all else, which may be
# somebody's run folder. A factory that the user names is looked for there all the same.
if sys.argv[:1] == ["-m"] and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

from . import attacks, data, models

__version__ = "0.1.0"
__all__ = ["__version__", "attacks", "data", "models"]
