"""The experiments of the paper on CIFAR10: tables 3 to 7 and figure 9."""

from typing import Any

from .blocks import SMALL, block, sense_by_c, without_c
from .blocks import TINY as SHORTEST
from .experiment import Block, Experiment, Plan, Transfer

EPS = 8 / 255
# Tables 3 and 5 to 7: PGD-100 with 5 restarts; table 4: PGD-40, ten sets. Step size 2/255.
PGD_100: dict[str, Any] = {"steps": 100, "restarts": 5, "step_size": 2 / 255, "eps": EPS}
PGD_40: dict[str, Any] = {"steps": 40, "restarts": 10, "step_size": 2 / 255, "eps": EPS}
NATURAL: dict[str, Any] = {"attacks": ["natural"], "eps": EPS}
WHITE_BOX = {**PGD_100, "attacks": ["fgsm", "deepfool", "pgd", "autoattack"]}
FIRST_1000 = {**PGD_100, "attacks": ["pgd"], "n": 1000}
DRAWN = {"n": 1000, "draw": 1}
# Each network is attacked from each other one. Three sets in place of ten keep this short.
PGD_40_SHORT = {**PGD_40, **DRAWN, "restarts": 3}
CONVERGENCE = {**PGD_100, "attacks": ["natural"], "restarts": 20, "n": 100, "convergence": 100}
TINY: dict[str, Any] = {**SHORTEST, "warmup": 0, "schedule": "one-cycle", "milestones": []}
TINY_CNN = {**TINY, "model": "cifar-cnn-1"}
# One-cycle with few long steps reaches in 20 epochs what step decay needs 150 for.
SHORT: dict[str, Any] = {
    "steps": 5,
    "step_size": 3 / 255,
    "schedule": "one-cycle",
    "nesterov": True,
    "milestones": [],
    "warmup": 0,
}
METHODS = ("mart", "trades", "mma", "iaat", "sense")  # of table 3, in its order


def _table_3_methods(
    recipe: str, options: dict[str, Any], *evaluations: dict[str, Any]
) -> tuple[Block, ...]:
    """The methods of table 3 with one recipe: c = 0.5, d_max = 12/255."""
    own: dict[str, dict[str, Any]] = {
        "mart": {"beta": 5.0},
        "trades": {"beta": 6.0},
        "mma": {"d_max": 12 / 255, "eps_min": 0.005},
        "iaat": {"warmup": min(1, options["epochs"] - 1)},
        "sense": {"c": 0.5},
    }
    return tuple(
        block(recipe, {**options, "method": method, **own[method]}, {"seed": [1]}, *evaluations)
        for method in METHODS
    )


def _paper_methods(*evaluations: dict[str, Any]) -> tuple[Block, ...]:
    """The methods of table 3, each with the recipe of its authors."""
    recipes = ("mart-cifar10", "trades-cifar10", "mma-cifar10", "iaat-cifar10", "cifar10-wrn-34-10")
    return tuple(block(recipe, {}, {"seed": [1]}, *evaluations) for recipe in recipes)


# WRN-34-10 takes days on two cores; the thinnest network of its family takes half an hour.
THIN = {**SHORT, "model": "wrn-10-1", "batch_size": 128, "lr": 0.1, "epochs": 5}
_ONE_RECIPE = "all methods with one learning rate, schedule and number of epochs"

TABLE_3 = Experiment(
    "table3",
    "accuracy of five methods under white-box attacks",
    "Table 3",
    ("CIFAR10",),
    {
        "paper": Plan(_paper_methods(WHITE_BOX)),
        "cpu": Plan(
            _table_3_methods("cifar10-wrn-34-10", THIN, {**WHITE_BOX, **DRAWN}),
            shortened=(_ONE_RECIPE,),
        ),
        "smoke": Plan(
            _table_3_methods(
                "cifar10-cnn", TINY_CNN, {**SMALL, "attacks": ["fgsm", "deepfool", "pgd"]}
            ),
        ),
    },
)

TABLE_4 = Experiment(
    "table4",
    "accuracy of five methods under transfer attacks",
    "Table 4",
    ("CIFAR10",),
    {
        "paper": Plan(_paper_methods(NATURAL), Transfer(PGD_40, _paper_methods())),
        "cpu": Plan(
            _table_3_methods("cifar10-wrn-34-10", THIN, {**NATURAL, **DRAWN}),
            Transfer(PGD_40_SHORT, _table_3_methods("cifar10-wrn-34-10", THIN)),
            (_ONE_RECIPE,),
        ),
        "smoke": Plan(
            _table_3_methods("cifar10-cnn", TINY_CNN, {**SMALL, "attacks": ["natural"]})[:2],
            Transfer(SMALL, _table_3_methods("cifar10-cnn", TINY_CNN)[:2]),
        ),
    },
)


def _values_of_c(recipe: str, options: dict[str, Any], *evaluations: dict[str, Any]) -> Block:
    return sense_by_c(recipe, options, (0.1, 0.3, 0.5, 0.7), {"seed": [1]}, *evaluations)


TABLE_5 = Experiment(
    "table5",
    "accuracy of SENSE-AT by c",
    "Table 5",
    ("CIFAR10",),
    {
        # Section 5.3.2: 200, 200 and 254 epochs for c = 0.1, 0.3 and 0.7.
        "paper": Plan(
            tuple(
                block("cifar10-wrn-34-10", {"epochs": n, "c": c}, {"seed": [1]}, FIRST_1000)
                for n, c in ((200, 0.1), (200, 0.3), (300, 0.5), (254, 0.7))
            )
        ),
        "cpu": Plan(
            (_values_of_c("cifar10-wrn-34-10", THIN, {**WHITE_BOX, **DRAWN}),),
        ),
        "smoke": Plan(
            (_values_of_c("cifar10-cnn", TINY_CNN, {**SMALL, "attacks": ["pgd"]}),),
        ),
    },
)

_RESNETS = ["resnet20", "resnet32", "resnet44", "resnet56"]
# As few as two epochs, since one of ResNet-56 takes an hour.
TABLE_6 = Experiment(
    "table6",
    "accuracy of SENSE-AT by the depth of a residual network",
    "Table 6",
    ("CIFAR10",),
    {
        "paper": Plan((block("cifar10-resnet", {}, {"model": _RESNETS}, FIRST_1000),)),
        "cpu": Plan(
            (
                block(
                    "cifar10-resnet",
                    {**SHORT, "epochs": 2},
                    {"model": _RESNETS, "seed": [1]},
                    {**FIRST_1000, **DRAWN},
                ),
            ),
        ),
        "smoke": Plan(
            (
                block(
                    "cifar10-resnet",
                    TINY,
                    {"model": ["resnet20"], "seed": [1]},
                    {**SMALL, "attacks": ["pgd"]},
                ),
            ),
        ),
    },
)

_CNNS = ["cifar-cnn-1", "cifar-cnn-2"]
_LEARNING_RATES = [0.01, 0.05, 0.001]


def _table_7(
    options: dict[str, Any], grid: dict[str, list[Any]], evaluation: dict[str, Any]
) -> tuple[Block, ...]:
    return (
        sense_by_c("cifar10-cnn", options, (0.1, 0.5, 0.7), grid, evaluation),
        without_c("cifar10-cnn", options, grid, evaluation),
    )


TABLE_7 = Experiment(
    "table7",
    "accuracy and collapse of small CNNs",
    "Table 7",
    ("CIFAR10",),
    {
        "paper": Plan(
            (
                *_table_7({}, {"model": _CNNS, "seed": [1]}, FIRST_1000),
                block(
                    "cifar10-cnn",
                    {"method": "r-at", "model": "cifar-cnn-1"},
                    {"lr": [0.05, 0.001], "seed": [1]},
                    FIRST_1000,
                ),
            )
        ),
        "cpu": Plan(
            _table_7(
                {**SHORT, "epochs": 10},
                {"model": _CNNS, "lr": _LEARNING_RATES, "seed": [1]},
                {**FIRST_1000, **DRAWN},
            ),
            shortened=("every method with each learning rate, the paper only R-AT",),
        ),
        "smoke": Plan(
            _table_7(
                TINY,
                {"model": ["cifar-cnn-1"], "seed": [1]},
                {**SMALL, "attacks": ["pgd"]},
            ),
        ),
    },
)

FIGURE_9 = Experiment(
    "fig9",
    "convergence of PGD on CIFAR10",
    "figure 9",
    ("CIFAR10",),
    {
        "paper": Plan((block("cifar10-wrn-34-10", {}, {"seed": [1]}, CONVERGENCE),)),
        "cpu": Plan(
            (
                block(
                    "cifar10-wrn-34-10",
                    {**THIN, "method": "sense", "c": 0.5},
                    {"seed": [1]},
                    CONVERGENCE,
                ),
            ),
        ),
        "smoke": Plan(
            (
                block(
                    "cifar10-cnn",
                    {**TINY_CNN, "method": "sense", "c": 0.5},
                    {"seed": [1]},
                    {**SMALL, "attacks": ["natural"], "steps": 4, "convergence": 20},
                ),
            ),
        ),
    },
)
