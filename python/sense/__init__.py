"""Sensible adversarial training (SENSE-AT) of image classifiers, after Kim and Wang.

`sense.attacks` has the adversaries, `sense.train` and `sense.evaluate` are also commands:
`python -m sense.train --help`.
"""

from . import attacks, data, models

__version__ = "0.1.0"
__all__ = ["__version__", "attacks", "data", "models"]
