"""Files made by hypothesis: each is read or rejected with an InputError."""

import io
import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from .children import Failure, run
from .commands import make_runs
from .damage import with_changed_value
from .frame import Shared, time_limit
from .inputs import INPUTS

EXAMPLES = 60  # per trial
TIME_LIMIT = 20  # seconds per example
TEXT = (".json", ".csv", ".jsonl")


def fuzz(draw: random.Random, shared: Shared, folder: Path) -> int:
    """Try inputs of one kind. A failure reports the smallest input that fails."""
    shared.once("runs", lambda: make_runs(shared.folder))
    name = draw.choice(list(INPUTS))
    (folder / "place").mkdir()
    ended = run(
        lambda: _search(name, draw.randrange(2**32), folder / "place", shared.folder),
        folder / "log",
    )
    if ended.code:
        raise Failure(f"{name}: {ended.error()}")
    return EXAMPLES


def _search(name: str, number: int, place: Path, runs: Path) -> None:
    reading, example = INPUTS[name], INPUTS[name].example(runs)

    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(contents(name, example))
    def check(content: bytes) -> None:
        (place / "input").write_bytes(content)
        with time_limit(TIME_LIMIT), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the previous checkpoint is used
            reading(content, place, runs)

    check()


def contents(name: str, example: bytes) -> st.SearchStrategy[bytes]:
    """Arbitrary bytes, the example with a part replaced, and content of the kind of file."""
    kinds = [st.binary(max_size=200), spliced(example)]
    if name.endswith(".json"):
        kinds += [st.randoms(use_true_random=False).map(_changed_json(example))] * 4
        kinds += [nested()]
    if name.endswith(".csv"):
        kinds += [lines(example)] * 3
    if name in ("pt", "checkpoint.pt"):
        kinds += [tensors()] * 3
    if name == "checkpoint.pt":
        kinds += [st.randoms(use_true_random=False).map(_changed_checkpoint(example))] * 3
    if name == "idx":
        kinds += [headers()] * 2
    if name == "safetensors":
        kinds += [st.randoms(use_true_random=False).map(_other_header(example))] * 3
    return st.one_of(kinds)


def spliced(example: bytes) -> st.SearchStrategy[bytes]:
    """The example with some bytes replaced."""
    places = st.integers(0, len(example))
    return st.builds(
        lambda begin, n, new: example[:begin] + new + example[begin + n :],
        places,
        st.one_of(st.integers(0, 8), places),
        st.binary(max_size=30),
    )


def lines(example: bytes) -> st.SearchStrategy[bytes]:
    """Lines of the example and other lines."""
    known = example.splitlines()
    other = st.one_of(
        st.sampled_from(known),
        st.binary(max_size=30),
        st.lists(
            st.sampled_from([b"0", b"1", b"pgd", b"-1", b"", b"1e9", b"9" * 5000]), max_size=6
        ).map(b",".join),
    )
    return st.lists(other, max_size=10).map(lambda some: b"\n".join([known[0], *some, b""]))


def nested() -> st.SearchStrategy[bytes]:
    """JSON of any form, with NaN and infinity, or deeply nested."""
    values = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inside: st.one_of(st.lists(inside), st.dictionaries(st.text(max_size=5), inside)),
    )
    deep = st.sampled_from([b'{"config":' * 100_000, b"[" * 100_000, b'{"a":1,"a":2}'])
    return st.one_of(values.map(lambda value: json.dumps(value).encode()), deep)


def headers() -> st.SearchStrategy[bytes]:
    """IDX files of any sizes."""
    sizes = st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**32 - 1)), max_size=5)
    return st.builds(
        lambda kind, many, body: (
            bytes([0, 0, kind, len(many)])
            + b"".join(size.to_bytes(4, "big") for size in many)
            + body
        ),
        st.sampled_from([8, 8, 8, 9, 13]),
        sizes,
        st.binary(max_size=130),
    )


def tensors() -> st.SearchStrategy[bytes]:
    """Content that torch can save, under common and other names."""
    names = st.one_of(
        st.sampled_from(
            [
                "state_dict",
                "model",
                "net",
                "model_state_dict",
                "weight",
                "module.x",
                "progress",
                "optimizer",
                "method",
                "layers.0.weight",
                "_orig_mod.x",
            ]
        ),
        st.text(max_size=4),
        st.integers(0, 3),
    )
    values = st.recursive(
        st.one_of(
            st.none(),
            st.integers(),
            st.floats(),
            st.text(max_size=5),
            st.lists(st.integers(0, 4), max_size=3).map(torch.zeros),
            st.sampled_from(
                [
                    torch.tensor(1),
                    torch.zeros(2, dtype=torch.complex64),
                    torch.zeros(2, 2).to_sparse(),
                    torch.full((2,), float("nan")),
                ]
            ),
        ),
        lambda inside: st.one_of(
            st.dictionaries(names, inside, max_size=4), st.lists(inside, max_size=3)
        ),
        max_leaves=8,
    )
    return values.map(_saved)


def _saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _changed_json(example: bytes) -> Callable[[random.Random], bytes]:
    """JSON with a few values replaced, removed or moved."""

    def operate(draw: random.Random) -> bytes:
        content = json.loads(example)
        for _ in range(draw.choice([1, 1, 1, 2, 3])):
            content = with_changed_value(draw, content)
            if not isinstance(content, dict):
                break
        return json.dumps(content).encode()

    return operate


def _changed_checkpoint(example: bytes) -> Callable[[random.Random], bytes]:
    """A checkpoint with a few of its values replaced, removed or moved."""

    def operate(draw: random.Random) -> bytes:
        content = torch.load(io.BytesIO(example), weights_only=True)
        for _ in range(draw.choice([1, 1, 2, 3])):
            content = with_changed_value(draw, content)
        return _saved(content)

    return operate


def _other_header(example: bytes) -> Callable[[random.Random], bytes]:
    """A safetensors file with a changed header."""
    size = int.from_bytes(example[:8], "little")

    def operate(draw: random.Random) -> bytes:
        header = json.dumps(with_changed_value(draw, json.loads(example[8 : 8 + size]))).encode()
        return len(header).to_bytes(8, "little") + header + example[8 + size :]

    return operate
