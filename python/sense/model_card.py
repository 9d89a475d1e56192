"""MODEL_CARD.md in the folder of a run: what was trained, how accurate it is, and its limits.

The card has the YAML front matter of Hugging Face's model cards. It is written at the end of
training and again by each evaluation in the folder, and removed when the weights change. Names of
data, classes and code may come from anybody: they are shown as code, so that Markdown and HTML in
them have no effect.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .config.options import claimed_eps, runtime_options, uses
from .description import parse_description
from .errors import InputError
from .evaluation.summary import EVALUATION, WORST, attacks_in_ball, read_evaluation
from .evaluation.tables import WORST_LABEL, ball_words
from .extensions import is_code
from .files import parse_json
from .run_folder import RunFolder
from .runs import CONFIG, METRICS
from .statistics import Proportion, wilson

CARD = "MODEL_CARD.md"
HUGGING_FACE = {"mnist": "mnist", "mnist-sample": "mnist", "cifar10": "cifar10"}  # data sets
MOST_CLASSES = 20  # that are listed
NUMBERS = ("epoch", "monitored", "natural_correct", "robust_correct", "seconds")  # of an epoch

INTENDED_USE = """\
For research on adversarial robustness, and as a baseline for comparison. An accuracy holds for \
images like the test images, for perturbations in the ball named above, and for the attacks that \
were run. Accuracy under an attack is an upper bound of robust accuracy. Nothing is known about \
other perturbations (other norms, larger radii, rotations, blur), about images of other sources, \
or about images of no class. Probabilities are not calibrated. Do not use the network where an \
error can harm somebody."""


def write_card(folder: RunFolder, weights_sha256: str) -> None:
    """Write the card of a run, whose folder is locked. An evaluation in the folder counts if it is
    finished and is one of these weights. A card that somebody has changed is left as it is."""
    if _was_changed(folder, CARD):
        return
    config, description = parse_description(folder.read(CONFIG), folder.path / CONFIG)
    description["config"] = config.resolved().to_plain()
    evaluation = None
    with suppress(InputError):  # a damaged one is replaced by the next evaluation
        if folder.has(EVALUATION):
            content = read_evaluation(folder)
            if content["finished"] and content["target"]["weights_sha256"] == weights_sha256:
                evaluation = content
    folder.write({CARD: card_text(description, _read_metrics(folder), evaluation)})


def remove_outdated_card(folder: RunFolder, files: Mapping[str, bytes]) -> None:
    """Remove the card of a run, whose folder is locked, if these files are about to replace others:
    the card speaks of the weights before. A card that somebody has changed is left as it is."""
    if _was_changed(folder, CARD) or not folder.has(CARD):
        return
    if any(_was_changed(folder, name, content) for name, content in files.items()):
        folder.remove([CARD])


def _was_changed(folder: RunFolder, name: str, content: bytes | None = None) -> bool:
    """Return whether a file is not as it was written or, if a content is given, not this one."""
    try:
        stored = folder.read(name) if folder.has(name) else None
    except InputError:
        return True
    return content is not None and stored != content


def _read_metrics(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl that have the numbers of an epoch."""
    lines = []
    with suppress(InputError):  # a missing or damaged file
        for text in folder.text(METRICS).splitlines():
            lines.append(parse_json(text, folder.path / METRICS))
    return [line for line in lines if all(_is_number(line.get(name)) for name in NUMBERS)]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0


def card_text(
    description: dict[str, Any], metrics: list[dict[str, Any]], evaluation: dict[str, Any] | None
) -> str:
    """Return the card.

    Parameters
    ----------
    description, metrics, evaluation
        The contents of config.json, metrics.jsonl and evaluation.json.
    """
    config = description["config"]
    parts = [
        f"# {code(config['method'])}, {code(config['model'])}, {code(description['data']['name'])}",
        "## Accuracy",
        *(
            _evaluated(evaluation, "features" in description["data"])
            if evaluation
            else _not_evaluated(metrics, config)
        ),
        "## Training",
        *_training(description, metrics),
        "## Intended use and limits",
        INTENDED_USE,
        "## Use",
        *_use(config, "features" in description["data"]),
        "## Origin",
        _origin("training", description.get("provenance")),
        *([_origin("evaluation", evaluation.get("provenance"))] if evaluation else []),
    ]
    return "\n\n".join([front_matter(description, evaluation), *parts]) + "\n"


def front_matter(description: dict[str, Any], evaluation: dict[str, Any] | None) -> str:
    """Return the YAML at the beginning. Its values are JSON, which is YAML too."""
    config, data = description["config"], description["data"]
    dataset = HUGGING_FACE.get(config["dataset"])
    task = "tabular-classification" if "features" in data else "image-classification"
    fields: dict[str, Any] = {
        "library_name": "sense",
        "pipeline_tag": task,
        "tags": ["adversarial-robustness", task, config["method"]],
        **({"datasets": [dataset]} if dataset else {}),
        "metrics": ["accuracy"],
    }
    if evaluation:
        values = [
            {
                "type": "accuracy",
                "name": label if name == "natural" else f"accuracy under {label}",
                "value": round(accuracy.estimate, 4),
            }
            for name, label, accuracy in rows(evaluation)
        ]
        result = {
            "task": {"type": task},
            "dataset": {"type": dataset or "other", "name": data["name"]},
            "metrics": values,
        }
        name = f"{config['method']}, {config['model']}"
        fields["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def rows(evaluation: dict[str, Any]) -> list[tuple[str, str, Proportion]]:
    """Return name, label and accuracy under each attack: the lowest first, in the ball of the
    evaluation, then without attack, then all others."""
    labels = {name: entry["label"] for name, entry in evaluation["attacks"].items()}
    found = [
        (
            name,
            "natural accuracy" if name == "natural" else labels.get(name, WORST_LABEL),
            Proportion(entry["k"], entry["n"], entry["lower"], entry["upper"]),
        )
        for name, entry in evaluation["accuracy"].items()
    ]
    inside = {WORST, *attacks_in_ball(evaluation)} - {"natural"}
    attacked = sorted((r for r in found if r[0] in inside), key=lambda r: (r[2].k, r[0] != WORST))
    natural = [r for r in found if r[0] == "natural"]
    outside = [r for r in found if r[0] not in inside and r[0] != "natural"]
    return [*attacked[:1], *natural, *attacked[1:], *outside]


def _evaluated(evaluation: dict[str, Any], of_table: bool) -> list[str]:
    units = "in units of the scaled features" if of_table else "for pixels from 0 to 1"
    options, data = evaluation["options"], evaluation["data"]
    drawn = "the first" if data["draw"] is None else f"drawn with seed {data['draw']}:"
    table = ["| | accuracy, 95 % Wilson interval, k / n |", "|---|---|"]
    table += [f"| {code(label)} | {accuracy} |" for _, label, accuracy in rows(evaluation)]
    notes = [
        f"On {drawn} {data['n']} of {data['of']} test {'rows' if of_table else 'images'}, in an "
        f"{ball_words(options['eps'], options['norm'])}, {units}.",
        _strength(evaluation),
    ]
    if options["cascade"]:
        notes.append(
            "Each attack was run only on images that were correct under all attacks before it."
        )
    diagnostics = evaluation.get("diagnostics")
    if diagnostics is None:
        notes.append("The diagnostics of the evaluation were not run.")
    else:
        warnings = [c["text"] for c in diagnostics["checks"] if c["verdict"] == "warning"]
        notes.append("The diagnostics warn:" if warnings else "The diagnostics gave no warning.")
        notes += [f"- {code(text)}" for text in warnings]
    return ["\n".join(table), *notes]


def _strength(evaluation: dict[str, Any]) -> str:
    """Say how strong the attacks were."""
    attacks = [name for name in evaluation["attacks"] if name != "natural"]
    own = [entry["code"] for entry in evaluation["attacks"].values() if "code" in entry]
    words = f" Attacks of the user's own: {', '.join(map(code, own))}." if own else ""
    if "autoattack" in attacks:
        return f"AutoAttack was run.{words}"
    if not attacks:
        return "No attack was run: nothing is known about the robustness of the network."
    first = "Only PGD was run" if attacks == ["pgd"] else "AutoAttack was not run"
    return f"**{first}: robust accuracy may be much lower under stronger attacks.**{words}"


def _not_evaluated(metrics: list[dict[str, Any]], config: dict[str, Any]) -> list[str]:
    lines = ["**The network was not evaluated on test data:** run `python -m sense.evaluate`."]
    last = metrics[-1] if metrics else None
    if last and max(last["natural_correct"], last["robust_correct"], 1) <= last["monitored"]:
        n = last["monitored"]
        natural, robust = (wilson(last[f"{name}_correct"], n) for name in ("natural", "robust"))
        lines.append(
            f"After epoch {last['epoch']}, on {n} images or rows "
            f"({code(last.get('monitored_on', 'test'))}): natural accuracy {natural}; under "
            f"PGD-{config['steps']}, in an {ball_words(claimed_eps(config), config['norm'])}, "
            f"{robust}, an overestimate of robust accuracy."
        )
    return lines


def _images_of_training(config: dict[str, Any], available: Any) -> Any:
    """Return the number of images that the network was trained on, of those that there are."""
    if type(available) is not int:
        return available
    chosen, held = config.get("train_size"), config.get("validation_size") or 0
    return min(available, chosen or available) - held


def _training(description: dict[str, Any], metrics: list[dict[str, Any]]) -> list[str]:
    config, data = description["config"], description["data"]
    names = [code(name) for name in data["classes"][:MOST_CLASSES]]
    more = len(data["classes"]) - len(names)
    shape = " x ".join(map(str, data["shape"]))
    counts = [n if type(n) is int else "?" for n in (data.get("train"), data.get("test"))]
    of = f" of {counts[0]}" if counts[0] != (used := _images_of_training(config, counts[0])) else ""
    what = "rows of" if "features" in data else "images of"
    dimensions = "features" if "features" in data else "(channels, height, width)"
    facts = [
        f"- data: {code(data['name'])}, {used}{of} for training and {counts[1]} for tests, {what} "
        f"{shape} {dimensions}; SHA-256 {code(data['sha256'])}",
        f"- classes: {', '.join(names)}{f' and {more} more' if more else ''}",
        f"- method: {code(config['method'])}, network: {code(config['model'])}",
        f"- epochs: {len(metrics)}, {sum(line['seconds'] for line in metrics):.1f} seconds",
    ]
    left_out = {*runtime_options(), "dataset", "method", "model"}
    options = {
        name: value
        for name, value in config.items()
        if name not in left_out and value not in (None, []) and uses(config["method"], name)
    }
    listed = json.dumps(options, indent=2).splitlines()
    return ["\n".join(facts), "Options:", "\n".join(f"    {line}" for line in listed)]


def _use(config: dict[str, Any], of_table: bool) -> list[str]:
    of_images = "pixels from 0 to 1, n x channels x height x width,"
    takes = "scaled features, n x features," if of_table else of_images
    again = ""
    if is_code(config["model"]):
        again = f', model="{config["model"]}"'
    elif config["model"].startswith("an instance of "):
        again = ", model=network"
    lines = [
        f'model = sense.load("FOLDER"{again})  # Python: a torch module',
        *(['scaling = sense.runs.load_scaling("FOLDER")'] if of_table else []),
        f"probabilities = model({'scaling(x)' if of_table else 'x'}).softmax(1)",
        "",
        'fit <- sense::read_sense_fit("FOLDER")  # R',
        'predict(fit, x, type = "prob")',
    ]
    return [
        f"The network takes {takes} and returns logits. FOLDER is the folder of this file.",
        "\n".join(f"    {line}".rstrip() for line in lines),
    ]


def _origin(what: str, provenance: Any) -> str:
    provenance = provenance if isinstance(provenance, dict) else {}
    names = ("time", "command", "commit", "sense", "torch", "python", "machine", "gpu", "threads")
    known = [f"{name} {code(provenance[name])}" for name in names if provenance.get(name)]
    return f"- {what}: {', '.join(known) or 'unknown'}"


def code(value: Any) -> str:
    """Return text as code of Markdown, in one line, in a form that has no effect in a table."""
    line = " ".join(str(value).split())
    line = "".join(c for c in line if c.isprintable()).replace("`", "'").replace("|", "/")
    return f"`{line}`" if line else "`(none)`"
