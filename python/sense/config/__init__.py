"""The options of a training run: their defaults, checks and recipes.

A `Config` holds all options of a run. The shell and R pass only the options that the user set; the
others come from a recipe, which is a `Config` with a name.
"""

from .notes import notes
from .options import Config
from .recipes import DEFAULT_RECIPE, RECIPES, default_recipe, from_plain, recipe
from .stored import from_stored

__all__ = [
    "DEFAULT_RECIPE",
    "RECIPES",
    "Config",
    "default_recipe",
    "from_plain",
    "from_stored",
    "notes",
    "recipe",
]
