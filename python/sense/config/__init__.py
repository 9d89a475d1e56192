"""The only place of defaults and of their checks.

A run is described by one `Config`. The shell and R pass only what the user set; everything else
comes from a named recipe, which is a `Config` too.
"""

from .options import Config
from .recipes import DEFAULT_RECIPE, RECIPES, default_recipe, from_plain, recipe
from .remarks import remarks
from .stored import from_stored

__all__ = [
    "DEFAULT_RECIPE",
    "RECIPES",
    "Config",
    "default_recipe",
    "from_plain",
    "from_stored",
    "recipe",
    "remarks",
]
