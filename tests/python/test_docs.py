"""README and docs show the stored results, and name only commands, options and functions that
exist. The stored results agree with themselves."""

import ast
import contextlib
import csv
import importlib
import inspect
import io
import json
import re
import runpy
from dataclasses import replace

import pytest
import torch

import sense
from bench.__main__ import main as bench_main
from bench.report import Section, show_spread
from bench.timing import Spread, ratio
from conftest import ROOT
from sense.cli import evaluate_main, train_main
from sense.config import RECIPES, recipe
from sense.config.stored import from_stored
from sense.data import load_data, to_float
from sense.evaluation.outcomes import CorrectMatrix, read_outcomes
from sense.evaluation.settings import ATTACKS
from sense.evaluation.summary import accuracies, attacks_in_ball, plain_accuracy, read_evaluation
from sense.network_export import export_main
from sense.report import report_main
from sense.reproduce.command import reproduce_main
from sense.runs import load
from sense.seal import seal_main
from sense.statistics import wilson
from sense.sweep.command import sweep_main
from sense.weights import weights_sha256

STORED = ROOT / "inst/extdata/methods"
RUNS = sorted(path.parent for path in STORED.glob("*/*/config.json"))
DEMO = sorted(path.parent for path in ROOT.glob("inst/extdata/mnist-demo/*/config.json"))
ROBUSTNESS = sorted(
    path.parent for path in ROOT.glob("inst/extdata/mnist-robustness/*/config.json")
)
MNIST_FAST = ROOT / "inst/extdata/mnist-fast"
EVALUATIONS = [MNIST_FAST, MNIST_FAST / "all", MNIST_FAST / "processor"]
VARIANTS = {
    "sense-noise": "sense",
    "sense-bisect": "sense",
    "sense-c-0.5": "sense",
    "mart-eps-0.1": "mart",
}


def named(run):
    return f"{run.parent.name}-{run.name}"


def stored_evaluation(run):
    return read_evaluation(run)


def shown(accuracy):
    return str(wilson(accuracy["k"], accuracy["n"]))


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RESULTS = (ROOT / "docs/results.md").read_text()
README = (ROOT / "README.md").read_text()
SEEDS = ROOT / "inst/extdata/mnist-demo-seeds.csv"


@pytest.mark.parametrize("method", ["nt", "r-at", "sense"])
def test_the_results_page_shows_the_demo(method):
    stored = stored_evaluation(ROOT / "inst/extdata/mnist-demo" / method)["accuracy"]
    assert table_row(stored, ("natural", "pgd", "autoattack", "worst")) in RESULTS


@pytest.mark.parametrize("method", ["nt", "r-at", "sense", "sense-c-0.5", "trades"])
def test_the_results_page_shows_the_robustness_study(method):
    stored = stored_evaluation(ROOT / "inst/extdata/mnist-robustness" / method)["accuracy"]
    assert table_row(stored, ("natural", "pgd", "autoattack", "worst")) in RESULTS


def test_the_results_page_shows_the_comparison_of_regularisers():
    tool = runpy.run_path(str(ROOT / "tools/compare_regularisers"))
    results = json.loads((STORED / "regularisers.json").read_text())["results"]
    assert tool["table"](results) in RESULTS
    widest = max(
        max(
            row["correct"][name] / row["n"] - found.lower,
            found.upper - row["correct"][name] / row["n"],
        )
        for row in results
        for name in ("natural", "pgd")
        for found in [wilson(row["correct"][name], row["n"])]
    )
    assert f"at most ± {1000 * widest:.0f} images" in RESULTS


def table_row(accuracies, attacks):
    return f"| {' | '.join(shown(accuracies[attack]) for attack in attacks)} |"


def seed_rows():
    return list(csv.DictReader(SEEDS.read_text().splitlines()))


def demo_seeds():
    """The stored accuracies, by seed and then by method and attack."""
    seeds = {}
    for row in seed_rows():
        found = {"k": int(row["k"]), "n": int(row["n"])}
        seeds.setdefault(int(row["seed"]), {})[row["method"], row["attack"]] = found
    return seeds


def demo_seeds_table():
    """The rows of README's table over seeds."""
    columns = [
        ("nt", "natural"),
        *((method, attack) for method in ("r-at", "sense") for attack in DEMO_ATTACKS),
    ]
    rows = []
    for seed, found in sorted(demo_seeds().items()):
        cells = [
            f"{100 * one['k'] / one['n']:.1f} % ({one['k']})" for one in map(found.get, columns)
        ]
        rows.append(f"| {seed} | {' | '.join(cells)} |")
    return rows


DEMO_ATTACKS = ("natural", "pgd", "autoattack")


def test_the_readme_shows_the_demo_over_at_least_five_seeds():
    rows = demo_seeds_table()
    assert len(rows) >= 5
    assert "\n".join(rows) in README


def test_the_readme_counts_the_seeds_for_which_training_collapses():
    """A network that collapsed has the same accuracy, near chance, with and without attack."""
    seeds = demo_seeds()
    collapsed = {
        method: [
            seed
            for seed, found in sorted(seeds.items())
            if len({found[method, attack]["k"] for attack in DEMO_ATTACKS}) == 1
        ]
        for method in ("nt", "r-at", "sense")
    }
    assert collapsed["nt"] == collapsed["sense"] == []
    sentence = f"for {len(collapsed['r-at'])} of {len(seeds)} seeds"
    assert sentence in " ".join(README.split())
    assert sentence in " ".join(RESULTS.split())
    assert all(found["nt", "worst"]["k"] == 0 for found in seeds.values())


def test_pgd_overestimates_sense_at_more_than_r_at_for_every_seed():
    for found in demo_seeds().values():
        gaps = {
            method: found[method, "pgd"]["k"] - found[method, "autoattack"]["k"]
            for method in ("r-at", "sense")
        }
        assert gaps["sense"] > gaps["r-at"]


def test_what_the_readme_says_about_the_demo_over_seeds():
    seeds = demo_seeds().values()
    robust = [found["sense", "autoattack"] for found in seeds]
    low, high = (
        f"{100 * pick(one['k'] / one['n'] for one in robust):.1f} %" for pick in (min, max)
    )
    assert f"ranges from {low} to {high}" in " ".join(README.split())
    for found in seeds:
        assert found["sense", "natural"]["k"] > found["r-at", "natural"]["k"]
        collapsed = found["r-at", "natural"]["k"] == found["r-at", "autoattack"]["k"]
        assert collapsed or found["r-at", "autoattack"]["k"] > found["sense", "autoattack"]["k"]


def test_the_intervals_of_the_demo_over_seeds_are_as_narrow_as_the_readme_says():
    rows = seed_rows()
    for row in rows:
        interval = wilson(int(row["k"]), int(row["n"]))
        assert (float(row["lower"]), float(row["upper"])) == pytest.approx(
            (interval.lower, interval.upper), abs=1e-6
        )
    widest = max(float(row["upper"]) - float(row["lower"]) for row in rows)
    assert f"at most ± {100 * widest / 2:.1f} percentage" in " ".join(README.split())


def test_the_runs_of_the_demo_over_seeds_have_their_provenance():
    stored = json.loads(SEEDS.with_suffix(".json").read_text())
    assert stored["data"]["n"] == 500
    runs = {(run["method"], run["seed"]) for run in stored["runs"]}
    assert runs == {(method, seed) for seed in demo_seeds() for method in ("nt", "r-at", "sense")}
    for run in stored["runs"]:
        assert run["training"]["threads"] == 1
        assert run["training"]["commit"]
        assert f"--method {run['method']} --seed {run['seed']} " in run["training"]["command"]
        assert len(run["weights_sha256"]) == 64


def test_the_overestimates_shown_are_those_of_the_stored_outcomes():
    """Percentage points by which PGD overestimates: images that only another attack breaks."""
    text = " ".join(RESULTS.split())
    for folder, attacks in ((DEMO, ("autoattack",)), (ROBUSTNESS, None)):
        for run in folder:
            if run.name == "nt":
                continue
            correct = {}
            for row in read_outcomes(run):
                correct.setdefault(row.attack, {})[row.image] = row.correct
            others = attacks or [name for name in correct if name not in ("pgd", "deepfool-l2")]
            broken = sum(
                1
                for image, still in correct["pgd"].items()
                if still and not all(correct[other].get(image, True) for other in others)
            )
            points = f"{100 * broken / len(correct['pgd']) + 1e-9:.1f}"
            assert re.search(rf"by {re.escape(points)}\b", text), (run, points)


@pytest.mark.parametrize(
    "folder", sorted({run.parent for run in [*RUNS, *ROBUSTNESS]}), ids=lambda folder: folder.name
)
def test_the_tables_shown_are_the_stored_ones(folder):
    table = (folder / "table.md").read_text().strip()
    assert table in RESULTS
    rows = {line.split(" | ")[0].strip("| ") for line in table.splitlines()[4:]}
    assert rows == {run.name for run in [*RUNS, *ROBUSTNESS] if run.parent == folder}


@pytest.mark.parametrize("run", [*RUNS, *DEMO, *ROBUSTNESS, *EVALUATIONS], ids=named)
def test_counts_are_those_of_the_outcomes(run):
    stored = stored_evaluation(run)
    correct = CorrectMatrix.from_outcomes(read_outcomes(run))
    counted = accuracies(correct, attacks_in_ball(stored))
    assert stored["accuracy"].keys() == counted.keys()
    for name, accuracy in counted.items():
        # Exact intervals differ in their last bits from one machine to the next.
        assert stored["accuracy"][name] == pytest.approx(plain_accuracy(accuracy), rel=1e-12)
    attack = "autoattack" if run.name == "processor" else "pgd"
    assert {"natural", attack, "worst"} <= counted.keys()
    assert "/tmp" not in json.dumps(stored)


@pytest.mark.parametrize("run", ROBUSTNESS, ids=named)
def test_the_robustness_study_attacks_with_everything(run):
    stored = stored_evaluation(run)
    assert stored["finished"]
    assert set(stored["attacks"]) == set(ATTACKS)
    assert stored["options"]["eps"] == 0.3
    assert stored["accuracy"]["worst"]["n"] >= 1000
    assert stored["diagnostics"]
    assert "/tmp" not in json.dumps(stored)
    assert all((run / name).exists() for name in ("curve.csv", "convergence_accuracy.csv.gz"))


@pytest.mark.parametrize("run", [*RUNS, *ROBUSTNESS], ids=named)
def test_the_options_stored_can_be_run_again_and_name_no_place(run):
    description = json.loads((run / "config.json").read_text())
    config = from_stored(description["config"])
    assert config.method == VARIANTS.get(run.name, run.name)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == config.pretrain + config.epochs
    assert "/tmp" not in json.dumps(description)
    assert description["provenance"]["commit"]


@pytest.mark.parametrize("run", DEMO, ids=lambda run: run.name)
def test_the_networks_that_ship_are_those_whose_outcomes_are_stored(run):
    first = [row for row in read_outcomes(run) if row.attack == "natural"][:100]
    model = load(run).eval()
    with torch.no_grad():
        guesses = model(to_float(load_data("mnist-sample", None).test_x[:100])).argmax(1)
    assert guesses.tolist() == [row.prediction for row in first]
    assert [row.image for row in first] == list(range(100))


def test_mnist_fast_is_its_recipe_and_took_less_than_an_hour_of_two_threads():
    description = json.loads((MNIST_FAST / "config.json").read_text())
    config = from_stored(description["config"])
    assert config.precision == "float32"
    elsewhere = replace(config, data_dir=None, threads=None, precision="auto", cuda_graphs="auto")
    # The run is older than eval_eps, the radius that it is evaluated with.
    assert replace(elsewhere, eval_eps=0.3) == recipe("mnist-fast")
    assert (config.threads, description["provenance"]["threads"]) == (2, 2)
    assert "gpu" not in description["provenance"]
    assert description["data"]["train"] == 60_000
    lines = [json.loads(line) for line in (MNIST_FAST / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == config.pretrain + config.epochs
    assert sum(line["seconds"] for line in lines) < 3600


def test_mnist_fast_reaches_the_accuracies_of_section_5_2_1():
    """99.51 % of all images and 91.74 % under PGD-500 with 20 restarts in the paper; 92.81 % under
    AutoAttack is what TRADES has on its public list."""
    every, strong = stored_evaluation(MNIST_FAST / "all"), stored_evaluation(MNIST_FAST)
    assert every["accuracy"]["natural"]["k"] >= 9951
    assert every["data"]["n"] == every["data"]["of"] == 10_000
    assert strong["data"]["draw"] is not None
    claimed = recipe("mnist-fast").claimed_eps
    assert strong["options"]["eps"] == every["options"]["eps"] == claimed == 0.3
    pgd = strong["attacks"]["pgd"]
    assert (pgd["steps"], pgd["restarts"]) == (500, 20)
    assert 100 * strong["accuracy"]["pgd"]["lower"] > 91.74
    assert 100 * strong["accuracy"]["autoattack"]["lower"] > 92.81
    shown_of_every = [every["accuracy"][name] for name in ("natural", "pgd")]
    for found in (*shown_of_every, *strong["accuracy"].values()):
        assert shown(found) in RESULTS
    natural, autoattack = every["accuracy"]["natural"], strong["accuracy"]["autoattack"]
    lines = (MNIST_FAST / "metrics.jsonl").read_text().splitlines()
    minutes = sum(json.loads(line)["seconds"] for line in lines) / 60
    percent = [100 * found["k"] / found["n"] for found in (natural, autoattack)]
    assert (
        f"{percent[0]:.1f} % natural accuracy and {percent[1]:.1f} % under AutoAttack after "
        f"{minutes:.0f} minutes"
    ) in " ".join(README.split())


@pytest.mark.parametrize("folder", EVALUATIONS, ids=lambda folder: folder.name)
def test_mnist_fast_was_evaluated_as_it_is_stored(folder):
    weights = weights_sha256(load(MNIST_FAST))
    assert stored_evaluation(folder)["target"]["weights_sha256"] == weights


def test_mnist_fast_under_autoattack_is_the_same_on_a_gpu_and_on_a_processor():
    there, here = (
        {(row.attack, row.image): row.correct for row in read_outcomes(folder)}
        for folder in (MNIST_FAST, MNIST_FAST / "processor")
    )
    assert "gpu" in stored_evaluation(MNIST_FAST)["provenance"]
    assert "gpu" not in stored_evaluation(MNIST_FAST / "processor")["provenance"]
    assert len(here) == 1000
    assert here == {key: there[key] for key in here}


@pytest.mark.parametrize("network", ["wrn-34-10", "resnet20"])
def test_the_accelerators_page_shows_the_steps_on_a_gpu(network):
    path = ROOT / f"bench/results/accelerator-{network}.json"
    page = (ROOT / "docs/accelerators.md").read_text().splitlines()
    rows = {line.split(" | ")[0].strip("| "): line for line in page if line.startswith("| ")}
    for comparison in Section.from_json(path.read_text()).comparisons:
        for variant in comparison.times.keys() & rows.keys():
            assert show_spread(ratio(comparison.times, variant, "plain")) in rows[variant]
        if "compiled" not in comparison.title:
            milliseconds = 1000 * Spread.of(comparison.times["plain"]).median
            assert f"{milliseconds:.0f} ms" in rows["float32 (time)"]
    assert {"tf32", "bfloat16", "cuda graphs"} <= rows.keys()


def test_the_results_page_shows_the_times_of_the_bench():
    section = Section.from_json((ROOT / "bench/results/epoch.json").read_text())
    rows = {line.split(" | ")[0].strip("| "): line for line in RESULTS.splitlines()}
    for comparison in section.comparisons:
        if "cifar-cnn-1" not in comparison.title:
            for name in comparison.times:
                if name.startswith("ours, "):
                    found = show_spread(ratio(comparison.times, name, "ours, r-at"))
                    assert found in rows[name.removeprefix("ours, ")]


def test_the_errata_shown_are_those_that_r_computes():
    page = (ROOT / "docs/paper.md").read_text()
    code = (ROOT / "R/errata.R").read_text().split("errata_list <- ")[1]
    errata = re.findall(r'= erratum\(\s*"([^"]*)", "([^"]*)",\s*"([^"]*)"', code)
    assert len(errata) == code.count("= erratum(")
    for erratum in errata:
        assert f"| {' | '.join(erratum)} |" in page


# Commands, options and names


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
COMMANDS = {
    "sense.train": train_main,
    "sense.evaluate": evaluate_main,
    "sense.export": export_main,
    "sense.report": report_main,
    "sense.reproduce": reproduce_main,
    "sense.seal": seal_main,
    "sense.sweep": sweep_main,
}
# Options of programs that are not ours: torchrun, pip, R, tensorboard, ray.
FOREIGN = {
    "--nproc-per-node",
    "--nnodes",
    "--node-rank",
    "--master-addr",
    "--master-port",
    "--logdir",
    "--head",
    "--address",
}


@pytest.fixture(scope="module")
def options():
    """The options of every command, as its help lists them."""
    found = {name: options_of(main) for name, main in COMMANDS.items()}
    found["bench"] = options_of(bench_main)
    for name, path in (
        ("bench.accelerator", "bench/accelerator.py"),
        ("tools/gpu", "bench/gpu.py"),
        ("tools/gpu-pack", "bench/gpu_pack.py"),
        ("tests.torture", "tests/torture/__main__.py"),
        ("tools/compare_methods", "tools/compare_methods"),
        ("tools/store-demo-seeds", "tools/store-demo-seeds"),
    ):
        found[name] = set(OPTION.findall((ROOT / path).read_text()))
    return found


def options_of(main):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main(["--help"])
    return set(OPTION.findall(text.getvalue())) | {"--version"}


def code_blocks(text, *languages):
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [code for language, code in blocks if language in languages]


def commands_in(text):
    """The lines of shell code, continued lines joined, without comments."""
    blocks = [*code_blocks(text, "sh", ""), *re.findall(r"^    \S.*$", text, re.M)]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(blocks))
    return [re.sub(r"(?:^|\s)#.*", "", line) for line in joined.splitlines()]


def test_pages_have_commands():
    """The tests below find what they look for."""
    assert len(commands_in(README)) > 10
    assert "--method" in " ".join(commands_in(README))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_in_the_text_exists(page, options):
    known = set().union(*options.values(), FOREIGN)
    known |= {"--no-" + option.removeprefix("--") for option in known}
    assert set(OPTION.findall(page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_takes_the_options_shown(page, options):
    for line in commands_in(page.read_text()):
        for part in re.split(r" -- ", line)[:1]:
            called = re.search(r"python -m ([\w.]+)|-m (sense\.\w+)|(tools/[\w-]+)", part)
            if not called:
                continue
            name = next(filter(None, called.groups()))
            if name in options:
                assert set(OPTION.findall(part[called.end() :])) <= options[name], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_file_and_recipe_named_exists(page):
    text = page.read_text()
    for module in set(re.findall(r"python -m ((?:sense|bench|tests)[\w.]*)", text)):
        assert importlib.util.find_spec(module), module
    for path in set(re.findall(r"`((?:python|tests|tools|inst|bench|docs|R)/[\w./-]+)`", text)):
        assert (ROOT / path).exists(), path
    for link in set(re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"python -m sense\.train ([a-z][\w-]+)", text):
        assert name in RECIPES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_section_finds_it(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        text = (page.parent / target if target else page).read_text()
        titles = re.findall(r"^#+ (.*)$", text, re.M)
        anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
        assert anchor in anchors | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_name_in_the_examples_exists(page):
    code = "\n".join(code_blocks(page.read_text(), "python"))
    inline = re.findall(r"`(sense\.[\w.]+)", page.read_text())
    for name in {*re.findall(r"(?<![\w/])sense\.[\w.]+\w", code), *inline}:
        assert is_importable(name), name
    for module, names in re.findall(r"^from (sense[\w.]*) import (.*)$", code, re.M):
        for name in names.split(", "):
            assert is_importable(f"{module}.{name}"), name
    compile(code, page.name, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_call_in_the_python_examples_fits_the_signature(page):
    for call in ast.walk(ast.parse("\n".join(code_blocks(page.read_text(), "python")))):
        if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("sense."):
            function = getattr(sense, ast.unparse(call.func).removeprefix("sense."))
            keywords = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(*call.args, **keywords)


def is_importable(name):
    """Is this a module, or an attribute of one?"""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ImportError:
        return hasattr(importlib.import_module(module), attribute)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_r_function_in_the_examples_is_exported(page):
    text = page.read_text()
    exported = set(re.findall(r"^export\((.*)\)$", (ROOT / "NAMESPACE").read_text(), re.M))
    used = set(re.findall(r"sense::(\w+)", text))
    code = "\n".join(code_blocks(text, "r"))
    called = set(re.findall(r"(?<![\w:$.])(\w+)\(", code + " ".join(re.findall(r"`(\w+)\(", text))))
    mentioned = {name for name in called if "_" in name or name.startswith("figure")}
    assert used <= exported
    assert mentioned - BASE_R <= exported


BASE_R = {"state_dict", "targeted_pgd"}
