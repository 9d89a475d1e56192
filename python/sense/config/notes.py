"""Notes on unusual options, printed before training."""

from dataclasses import fields

from ..extensions import is_code
from .options import Config, uses

LARGE_COLOUR_EPS = 0.1  # in l-infinity; the papers on CIFAR10 have 8/255 = 0.0314


def notes(config: Config, channels: int | None = None, images: int | None = None) -> list[str]:
    """Return a sentence for each option that has no effect and for each unusual value. `channels`
    is the number of channels of the images, `images` the number of images that are trained on, if
    known."""
    found = _options_without_effect(config)
    if images is not None and (config.train_size or 0) > images:
        found.append(
            f"train_size {config.train_size} is more than the {images} training images, all of "
            "which are used"
        )
    size = config.step_size if config.method not in ("nt", "mma") else None
    if size is not None and config.eps and size > config.eps:
        found.append(
            f"step_size {size:g} is larger than eps {config.eps:g}: each step crosses the whole "
            "ball"
        )
    if size is not None and size * config.steps < config.eps:
        found.append(
            f"steps x step_size is {size * config.steps:g}, less than eps {config.eps:g}: the "
            "attack cannot reach the edge of the ball"
        )
    found += _unusual_claim(config)
    if config.eps == 0 and config.method != "nt":
        found.append(f"eps is 0, so {config.method} trains on no adversarial images")
    if config.method in ("sense", "sense-trades") and config.c in (0, 1):
        effect = "no image is attacked" if config.c == 1 else "no step is reverted"
        found.append(f"c is {config.c:g}, so {effect}")
    colour = config.dataset == "cifar10" or (channels == 3 and config.dataset != "table")
    if colour and config.norm == "inf" and config.eps > LARGE_COLOUR_EPS and config.method != "nt":
        found.append(
            f"eps {config.eps:g} is large for colour images: the papers on CIFAR10 use 8/255 = "
            "0.0314"
        )
    return found


def _unusual_claim(config: Config) -> list[str]:
    """Return a sentence about an `eval_eps` that may have been left from other options."""
    eps, claimed = config.eps, config.claimed_eps
    reach = config.step_size * config.steps
    found = []
    if config.method != "nt" and (claimed > eps or claimed < eps / 2):
        larger = "larger" if claimed > eps else "much smaller"
        found.append(
            f"eval_eps {claimed:g} is {larger} than eps {eps:g}: accuracy is measured in another "
            "ball than that of training"
        )
    if claimed != eps and reach < claimed:
        found.append(
            f"steps x step_size is {reach:g}, less than eval_eps {claimed:g}: the PGD after each "
            "epoch cannot reach the edge of the ball"
        )
    return found


def _options_without_effect(config: Config) -> list[str]:
    """Return a sentence for each option that differs from its default but is not used."""
    changed = {f.name for f in fields(Config) if getattr(config, f.name) != f.default}
    reasons = {name: f"method {config.method}" for name in changed if not uses(config.method, name)}
    own_schedule = is_code(config.schedule)
    no_steps = (config.schedule != "step" and not own_schedule, f"schedule {config.schedule}")
    not_used = {
        "bisections": (config.boundary != "bisect", f"boundary {config.boundary}"),
        "l2_form": (config.norm != "2", f"norm {config.norm}"),
        "momentum": (config.optimizer == "adam", "optimizer adam"),
        "milestones": no_steps,
        "milestone_lrs": no_steps,
        "lr_decay": no_steps,
        "label_smoothing": (
            config.method == "sense-trades" and config.natural_weight == 0,
            "natural_weight 0",
        ),
        "awp_warmup": (not config.awp, "awp 0"),
        "eps_start": (not config.eps_ramp, "eps_ramp 0"),
        "monitor_size": (bool(config.validation_size), "validation images"),
    }
    if config.milestone_lrs:
        not_used["lr_decay"] = (True, "milestone_lrs")
    for name, (without_effect, reason) in not_used.items():
        if without_effect and name in changed:
            reasons.setdefault(name, reason)
    return [f"{name} has no effect with {reason}" for name, reason in sorted(reasons.items())]
