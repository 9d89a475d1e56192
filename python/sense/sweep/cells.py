"""A cell of a sweep: one training and its evaluations, with the name of its folder."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import RECIPES, Config, default_recipe, from_plain, recipe
from ..config.options import option_types, runtime_options, uses
from ..errors import InputError
from ..evaluation.runner import build_attacks
from ..evaluation.settings import Settings, settings_from_plain
from ..extensions import is_code

MAX_NAME = 120  # characters; a file system allows 255 bytes, and NAME.log is a file
IN_MEMORY = ("arrays", "table")


@dataclass(frozen=True)
class Cell:
    """One training and its evaluations.

    `Cell("cifar10-cnn", {"method": "sense", "c": 0.5})`. Options that do not change the training
    are left out when the cell is made: those that the method does not use and those that are as in
    the recipe. Cells of the same training are therefore equal and have one name.

    Attributes
    ----------
    recipe
        Name of a recipe. Default: that of `sense.train` for the data set.
    options
        Options of training that differ from the recipe's, by name, in the types of JSON. The text
        "None" is None.
    evaluations
        For each evaluation its options, as those of `sense.evaluate`. Empty: only train. A relative
        `source` is taken from the working directory, and made absolute.

    Raises
    ------
    InputError
        For an unknown option or a wrong value, and for data that are not in a folder.
    """

    recipe: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        options = {name: _without_minus_zero(value) for name, value in self.options.items()}
        name, base = _base(self.recipe, options)
        config = from_plain(options, base)
        changed = _changes(config, recipe(name))
        object.__setattr__(self, "recipe", name)
        object.__setattr__(self, "options", changed)
        object.__setattr__(self, "evaluations", tuple(map(_with_absolute_source, self.evaluations)))
        if self.config.dataset in IN_MEMORY:
            raise InputError(
                f"dataset must be one that can be read from files in a sweep, got "
                f"{self.config.dataset}: use mnist-sample, mnist, cifar10 or folder"
            )
        if self.config.minutes is not None:
            raise InputError(
                "minutes must be left out of a sweep: the result would depend on the speed of the "
                f"machine, got {self.config.minutes:g}. Set epochs"
            )
        self.check_evaluations()

    @cached_property
    def config(self) -> Config:
        """The options of training."""
        return from_plain(self.options, recipe(str(self.recipe)))

    @cached_property
    def name(self) -> str:
        """The name of the cell's folder: the recipe, the method, the options that differ from the
        recipe's, in the order of `Config`, and the seed. Options that are marked RUNTIME have no
        part in it. A name that is too long ends with a checksum."""
        parts = [str(self.recipe), _value_text(self.config.method)]
        for option, value in self.options.items():
            if option not in ("method", "seed", *runtime_options()):
                parts.append(_option_text(option, value))
        name = "_".join([*parts, f"seed-{self.config.seed}"])
        if len(name) <= MAX_NAME:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: MAX_NAME - 9]}_{digest}"

    @cached_property
    def training(self) -> dict[str, Any]:
        """All options that the result of training depends on, in the types of JSON."""
        return training_options(self.config)

    def settings(self) -> list[Settings]:
        """The settings of each evaluation, complete with the radius and norm of the claim."""
        return [
            settings_from_plain(dict(options)).complete(self.config.claimed_eps, self.config.norm)
            for options in self.evaluations
        ]

    def check_evaluations(self) -> None:
        """Raise InputError for an evaluation that could not be run here."""
        for settings in self.settings():
            # Not those that would read the network of another run, or import code.
            known = [name for name in settings.attacks if name != "transfer" and not is_code(name)]
            build_attacks(replace(settings, attacks=tuple(known)))


def training_options(config: Config) -> dict[str, Any]:
    """Return the options that the result of training depends on, in the types of JSON: without
    those marked RUNTIME and those that the method does not use."""
    plain = config.resolved().to_plain()
    return {
        name: value
        for name, value in plain.items()
        if name not in runtime_options() and uses(config.method, name)
    }


def merged(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells with each training once, under its first name and with all its evaluations.

    Raises InputError if two different trainings have the same name, or two equal ones have data in
    different folders: they would have one run folder."""
    found: dict[str, Cell] = {}
    names: dict[str, str] = {}
    for cell in cells:
        key = repr(cell.training)
        if key in found:
            first = found[key]
            _check_same_folder(first, cell)
            new = [one for one in cell.evaluations if one not in first.evaluations]
            found[key] = replace(first, evaluations=(*first.evaluations, *new))
        else:
            found[key] = cell
        if names.setdefault(found[key].name, key) != key:
            raise InputError(
                f"two different cells have the name {cell.name}: give the code that they name "
                "names that differ in more than punctuation"
            )
    return list(found.values())


def _check_same_folder(first: Cell, second: Cell) -> None:
    one, other = (
        cell.config.data_dir and cell.config.data_dir.absolute() for cell in (first, second)
    )
    if one != other:
        raise InputError(
            f"two cells differ only in data_dir ({one} and {other}), and would have one run folder"
            f", {first.name}: train on each of the data in a sweep of its own, with another --out"
        )


def _without_minus_zero(value: Any) -> Any:
    """Return a value with 0.0 for -0.0, which is the same number with another name."""
    if isinstance(value, list | tuple):
        return [_without_minus_zero(one) for one in value]
    return 0.0 if isinstance(value, float) and value == 0 else value


def _with_absolute_source(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    source = evaluation.get("source")
    if not isinstance(source, str | Path) or source in ("", "None"):
        return dict(evaluation)  # what is wrong is refused later
    return {**evaluation, "source": str(Path(source).absolute())}


def _base(name: str | None, options: Mapping[str, Any]) -> tuple[str, Config]:
    """Return the recipe's name, and the options that `options` change. Without a name they are
    those of sense.train, which for CIFAR10 are those of cifar10-demo on all images."""
    if name is not None:
        return name, recipe(name)
    base = default_recipe(options.get("dataset"))
    same = [known for known, config in RECIPES.items() if config == base]
    return (same or ["cifar10-demo"])[0], base


def _changes(config: Config, base: Config) -> dict[str, Any]:
    """Return the options that differ from the recipe's and are used, in the types of JSON."""
    plain, full = config.to_plain(), config.resolved()
    changed = {}
    for name in option_types():
        before = getattr(base, name)
        if getattr(config, name) == before:
            continue
        unused = not uses(config.method, name)
        if not unused and name not in runtime_options():
            # Such as the value that is the default of this method anyway. Another value may not
            # fit the other options of the recipe.
            try:
                unused = replace(config, **{name: before}).resolved() == full
            except InputError:
                unused = False
        if not unused:
            changed[name] = plain[name]
    return changed


def _option_text(option: str, value: Any) -> str:
    name = option.replace("_", "-")
    if isinstance(value, bool):
        return name if value else f"no-{name}"
    return f"{name}-{_value_text(value)}"


def _value_text(value: Any) -> str:
    """Return a value as a part of a file's name."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return "+".join(map(_value_text, value)) or "none"
    if isinstance(value, float):
        return _number_text(value)
    return re.sub(r"[^\w.+-]+", "-", str(value)).replace("_", "-")


def _number_text(value: float) -> str:
    """Return a number as short as it can be without loss; 8/255 as 8-255ths."""
    if float(f"{value:g}") == value:
        return f"{value:g}"
    levels = round(255 * value, 6)
    return f"{levels:g}-255ths" if levels / 255 == value else repr(value)
