from dataclasses import fields, replace
from pathlib import Path

import pytest

from sense.evaluation.settings import ATTACKS, Settings, settings_from_plain


def test_natural_comes_first_and_is_always_included():
    for attacks in (("pgd",), ("pgd", "natural")):
        assert Settings(attacks=attacks, eps=0.1).complete(None, None).attacks == ("natural", "pgd")


def test_eps_and_norm_are_the_targets_by_default():
    full = Settings().complete(0.3, "2")
    assert (full.radius, full.norm, full.lp) == (0.3, "2", 2.0)
    full = Settings(eps=0.1, norm="inf").complete(0.3, "2")
    assert (full.radius, full.norm) == (0.1, "inf")
    assert Settings(eps=0.1).complete(None, None).norm == "inf"
    with pytest.raises(ValueError, match="the target has no eps: set it"):
        Settings().complete(None, None)


@pytest.mark.parametrize(
    ("eps", "norm", "steps", "size"),
    [
        (0.3, "inf", 100, 0.01),  # section 5.2.1
        (8 / 255, "inf", 100, 2 / 255),  # Table 2
        (0.3, "inf", 10, 0.075),  # ten steps of 0.01 would not cross the ball
        (2.0, "2", 100, 0.05),
        (0.0, "inf", 100, 0.01),
    ],
)
def test_default_step_sizes(eps, norm, steps, size):
    settings = Settings(eps=eps, norm=norm, steps=steps)
    assert settings.step(eps) == pytest.approx(size)
    assert replace(settings, step_size=0.5).step(eps) == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacks": ("magic",)}, "attacks must be one of natural, fgsm, .* got 'magic'"),
        ({"attacks": ("pgd", "pgd")}, "each attack must be named once"),
        ({"steps": 0}, "steps must be a whole number >= 1, got 0"),
        ({"restarts": 0}, "restarts must be a whole number >= 1, got 0"),
        ({"queries": 2.5}, "queries must be a whole number, got 2.5"),
        ({"n": 0}, "n must be a whole number >= 1, got 0"),
        ({"batch": 0}, "batch must be"),
        ({"convergence": 0}, "convergence must be"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"draw": True}, "draw must be a whole number, got True"),
        ({"eps": -0.1}, "eps must be 0 or more"),
        ({"eps": float("nan")}, "eps must be 0 or more"),
        ({"norm": "3"}, "norm must be one of inf, 2, 1"),
        ({"step_size": 0.0}, "step_size must be more than 0"),
        ({"curve": (0.1, -0.2)}, "curve must be radii >= 0"),
        ({"attacks": ("transfer",)}, "--source RUN"),
    ],
)
def test_bad_settings_are_named_in_the_error(change, message):
    with pytest.raises(ValueError, match=message):
        Settings(**change)


def test_contradictory_settings_are_refused():
    with pytest.raises(ValueError, match=r"eps must be at most 1 .* 8/255 = 0.0314"):
        Settings(eps=8.0).complete(None, None)
    with pytest.raises(ValueError, match="at most 1"):
        Settings(eps=0.1, curve=(2.0,)).complete(None, None)
    with pytest.raises(ValueError, match="--l2-eps"):
        Settings(eps=0.1, attacks=("deepfool-l2",)).complete(None, None)
    assert Settings(eps=2.0, norm="2", attacks=("deepfool-l2",)).complete(None, None).radius == 2


def test_radii_of_the_curve_are_sorted():
    assert Settings(eps=0.1, curve=(0.2, 0.0, 0.1, 0.2)).complete(None, None).curve == (0, 0.1, 0.2)


def test_settings_from_the_plain_types_of_r_and_json():
    plain = {
        "attacks": "fgsm",
        "steps": 7.0,
        "norm": float("inf"),
        "curve": 1,
        "source": "runs/a",
        "cascade": True,
        "n": 100.0,
        "eps": 0.25,
    }
    assert settings_from_plain(plain) == Settings(
        attacks=("fgsm",),
        steps=7,
        norm="inf",
        curve=(1.0,),
        source=Path("runs/a"),
        cascade=True,
        n=100,
        eps=0.25,
    )
    assert settings_from_plain({"attacks": ["pgd", "square"], "norm": 2}).norm == "2"
    assert settings_from_plain({}) == Settings()
    with pytest.raises(ValueError, match="steps must be a whole number"):
        settings_from_plain({"steps": 2.5})
    with pytest.raises(ValueError, match=r"unknown option stepz. The options are attacks, eps, "):
        settings_from_plain({"stepz": 2})


def test_every_option_has_a_help_text():
    assert all(len(option.type.__metadata__[0].help) > 10 for option in fields(Settings))
    assert set(Settings().attacks) < set(ATTACKS)
