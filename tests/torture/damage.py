"""Damage to a file: changed bits, digits, lines or JSON values, links, other types of files."""

import copy
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

# damage(draw, path, others): others are files whose content may replace that of the path.
Damage = Callable[[random.Random, Path, list[Path]], None]
HUGE = 2**36  # bytes of a sparse file
UNUSUAL_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    2**64,
    10**400,
    1e308,
    -0.0,
    0.5,
    "",
    "x",
    "inf",
    "../x",
    "\0",
    "os:abort",
    [],
    [1],
    [[]],
    {},
    {"x": 1},
    [None] * 1000,
    "9" * 5000,
]


def flip_a_bit(draw: random.Random, path: Path, others: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def change_a_digit(draw: random.Random, path: Path, others: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    digits = [i for i, byte in enumerate(content) if chr(byte).isdigit()] or [0]
    content[draw.choice(digits)] = ord(draw.choice("0123456789"))
    path.write_bytes(content)


def change_bytes(draw: random.Random, path: Path, others: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    at, n = draw.randrange(len(content)), draw.choice([1, 4, 100])
    content[at : at + n] = draw.randbytes(draw.choice([0, n]))
    path.write_bytes(content)


def truncate(draw: random.Random, path: Path, others: list[Path]) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.choice([0, 1, len(content) - 1, draw.randrange(len(content))])])


def cut_start(draw: random.Random, path: Path, others: list[Path]) -> None:
    path.write_bytes(path.read_bytes()[draw.choice([1, 3, 100]) :])


def append_bytes(draw: random.Random, path: Path, others: list[Path]) -> None:
    content = path.read_bytes()
    more = draw.choice([b"\n", b"\0" * 100, content, content[-100:], draw.randbytes(50), b"{}"])
    path.write_bytes(content + more)


def change_lines(draw: random.Random, path: Path, others: list[Path]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    i, j = draw.randrange(len(lines)), draw.randrange(len(lines))
    way = draw.choice(["twice", "removed", "swapped"])
    if way == "twice":
        lines.insert(j, lines[i])
    elif way == "removed":
        del lines[i]
    else:
        lines[i], lines[j] = lines[j], lines[i]
    path.write_bytes(b"".join(lines))


def change_encoding(draw: random.Random, path: Path, others: list[Path]) -> None:
    content = path.read_bytes()
    ways = [
        b"\xef\xbb\xbf" + content,
        content.replace(b"\n", b"\r\n"),
        b"\xff\xfe" + content,
        content.replace(b",", b";"),
        content.replace(b'"', b"'"),
        content.upper(),
    ]
    path.write_bytes(draw.choice(ways))


def change_json(draw: random.Random, path: Path, others: list[Path]) -> None:
    """Replace, remove or move a value in a document or in one of its lines."""
    lines = (
        path.read_text(errors="replace").splitlines()
        if path.suffix == ".jsonl"
        else [path.read_text(errors="replace")]
    )
    i = draw.randrange(len(lines))
    try:
        content = json.loads(lines[i])
    except ValueError:
        return change_bytes(draw, path, others)
    lines[i] = json.dumps(with_changed_value(draw, content))
    path.write_text("\n".join(lines) + "\n")


def with_changed_value(draw: random.Random, content: Any) -> Any:
    """Return nested dictionaries and lists with one value replaced, removed or moved."""
    places = list(_places(content, ()))
    if not places:
        return draw.choice(UNUSUAL_VALUES)
    way = draw.choice(["unusual", "unusual", "removed", "moved", "near"])
    *above, last = draw.choice(places)
    parent = content
    for key in above:
        parent = parent[key]
    if way == "removed":
        del parent[last]
    elif way == "moved":
        other = content
        for key in draw.choice(places):
            other = other[key]
        parent[last] = copy.deepcopy(other)
    elif way == "near" and isinstance(parent[last], int | float):
        parent[last] = draw.choice([-1, 2, 0.5, 1e9]) * parent[last] + draw.choice([0, 1])
    else:
        parent[last] = draw.choice(UNUSUAL_VALUES)
    return content


def _places(content: Any, above: tuple[Any, ...]) -> Any:
    inside = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inside:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*above, key))


def remove(draw: random.Random, path: Path, others: list[Path]) -> None:
    path.unlink()


def take_from_another(draw: random.Random, path: Path, others: list[Path]) -> None:
    shutil.copy(draw.choice(others), path)


def swap(draw: random.Random, path: Path, others: list[Path]) -> None:
    other = draw.choice([entry for entry in path.parent.iterdir() if entry != path])
    third = path.with_name("third")
    path.rename(third)
    other.rename(path)
    third.rename(other)


def link(draw: random.Random, path: Path, others: list[Path]) -> None:
    """A link to itself, to the same content elsewhere, to another file, a device or a folder."""
    moved = path.parent.with_name(f"moved-{path.name}")
    targets = [
        path,
        moved,
        draw.choice(others),
        Path("/dev/zero"),
        Path("/dev/stdin"),
        path.parent,
        Path("/nowhere"),
        Path("/proc/self/mem"),
    ]
    path.rename(moved)
    path.symlink_to(draw.choice(targets))


def make_a_fifo(draw: random.Random, path: Path, others: list[Path]) -> None:
    path.unlink()
    os.mkfifo(path)


def make_a_folder(draw: random.Random, path: Path, others: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def make_huge(draw: random.Random, path: Path, others: list[Path]) -> None:
    os.truncate(path, HUGE)


KINDS: list[Damage] = [
    flip_a_bit,
    change_a_digit,
    change_a_digit,
    change_bytes,
    truncate,
    cut_start,
    append_bytes,
    change_lines,
    change_encoding,
    remove,
    take_from_another,
    swap,
    link,
    make_a_fifo,
    make_a_folder,
    make_huge,
]


def damage(draw: random.Random, path: Path, others: list[Path]) -> str:
    """Damage the file in a random way and return a description."""
    ways = [*KINDS, *[change_json] * 5] if path.suffix in (".json", ".jsonl") else KINDS
    way = draw.choice(ways)
    way(draw, path, others)
    return f"{path.name}: {way.__name__}"
