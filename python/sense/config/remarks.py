"""What is odd about a configuration and allowed all the same: said before time is spent."""

from dataclasses import fields

from .options import Config, used_by

COLOUR_EPS = 0.1  # in l-infinity; the papers on CIFAR10 have 8/255 = 0.0314


def remarks(config: Config, channels: int | None = None) -> list[str]:
    """A sentence for each option that has no effect here, and for what is unusual. `channels` is
    that of the images, where it is known."""
    found = [*_ignored(config)]
    size = config.step_size if config.method not in ("nt", "mma") else None
    if size is not None and config.eps and size > config.eps:
        found.append(
            f"step_size {size:g} is more than eps {config.eps:g}: each step crosses the whole ball"
        )
    if size is not None and size * config.steps < config.eps:
        found.append(
            f"{config.steps} steps of {size:g} are shorter than eps {config.eps:g} together: the "
            "attack cannot reach the edge of the ball"
        )
    if config.eps == 0 and config.method != "nt":
        found.append(f"eps is 0, so {config.method} sees no adversarial images")
    if config.method in ("sense", "sense-trades") and config.c in (0, 1):
        what = "no image is moved" if config.c == 1 else "no image is turned back"
        found.append(f"c is {config.c:g}, so {what}")
    colour = config.dataset == "cifar10" or channels == 3
    if colour and config.norm == "inf" and config.eps > COLOUR_EPS and config.method != "nt":
        found.append(
            f"eps {config.eps:g} is large for colour images: the papers on CIFAR10 have 8/255 = "
            "0.0314"
        )
    return found


def _ignored(config: Config) -> list[str]:
    """Options that differ from their defaults and that nothing looks at."""
    set_here = {f.name for f in fields(Config) if getattr(config, f.name) != f.default}
    reasons = {
        name: f"method {config.method}"
        for name in set_here
        if used_by(name) is not None and config.method not in (used_by(name) or ())
    }
    without = {
        "bisections": (config.boundary != "bisect", f"boundary {config.boundary}"),
        "l2_form": (config.norm != "2", f"norm {config.norm}"),
        "momentum": (config.optimizer == "adam", "optimizer adam"),
        "decay": (config.schedule != "step" or bool(config.rates), "schedule other than step"),
        "milestones": (config.schedule != "step", f"schedule {config.schedule}"),
        "rates": (config.schedule != "step", f"schedule {config.schedule}"),
        "eps_first": (not config.eps_ramp, "eps_ramp 0"),
        "monitor": (bool(config.validation), "validation images, all of which are looked at"),
    }
    for name, (ignored, why) in without.items():
        if ignored and name in set_here:
            reasons.setdefault(name, why)
    if "decay" in reasons and config.rates:
        reasons["decay"] = "rates"
    return [f"{name} has no effect with {why}" for name, why in sorted(reasons.items())]
