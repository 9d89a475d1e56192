"""Export of a trained network to a file that needs neither this package nor its code.

    python -m sense.export runs/sense --format onnx
    sense.export("runs/sense", "sense.pt2")

The exported network takes pixels from 0 to 1, float32, n x channels x height x width with any n,
and returns logits. It is run on real images, and its logits are compared with those of the network,
before the file is written.
"""

import importlib
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from torch import Tensor, nn

from . import __version__
from .attacks.modes import kept_modes
from .cli import command
from .config import Config
from .config.options import Help
from .data import to_float
from .data.images import as_images
from .errors import InputError, MissingFileError, MissingPackageError, TakenError
from .files import write_atomically
from .networks import check_network, torch_defaults
from .process_settings import restored_settings
from .runs import load, load_run_test_data, load_scaling, read_run
from .weights import weights_sha256

Format = Literal["torch", "onnx"]
SUFFIXES: dict[str, Format] = {".pt2": "torch", ".onnx": "onnx"}
CHECKED = 100  # images
# Largest allowed difference of a logit, as a part of the largest logit, or of 1 if that is smaller.
TOLERANCE = 1e-4
METADATA = "sense.json"  # extra file in a .pt2 file


@dataclass(frozen=True)
class Export:
    """The result of `export`.

    Attributes
    ----------
    path
        The file.
    largest_difference, largest_logit
        Of the logits of the exported network from those of the network, and of the latter.
    images
        Number of images on which they were compared.
    """

    path: Path
    largest_difference: float
    largest_logit: float
    images: int

    def __str__(self) -> str:
        return (
            f"{self.path}: logits of {self.images} images differ by at most "
            f"{self.largest_difference:.1e}, of logits up to {self.largest_logit:.1f}"
        )


@restored_settings()
@torch_defaults()
def export(
    source: nn.Module | Path | str,
    file: Path | str,
    *,
    images: Any = None,
    model: nn.Module | str | None = None,
    data_dir: Path | str | None = None,
    overwrite: bool = False,
) -> Export:
    """Export a network by torch.export (`file` ends in .pt2) or to ONNX (.onnx).

    Parameters
    ----------
    source
        A module that returns logits, or the folder of a run.
    file
        Not replaced unless `overwrite`.
    images
        Real images for the comparison, in the forms of `ImageData`, or features; of them the first
        100 are used. Default for a run: its test images.
    model
        The network of a run, as in `load`.
    data_dir
        Folder of the data of a run, if it was moved.

    Returns
    -------
    An `Export`, with the largest difference of a logit. It is also in the file: in `sense.json`, an
    extra file of .pt2, or in the metadata of ONNX.

    Raises
    ------
    ValueError
        If the network cannot be exported, or the logits differ by more than 1e-4 of the largest.
    FileExistsError
        If the file exists.
    ImportError
        If a package is missing: onnx and onnxscript, for ONNX.
    """
    if isinstance(source, nn.Module):
        check_file(Path(file), overwrite)
        if images is None:
            raise InputError("pass images, on which the exported network is compared")
        return write_network(source, Path(file), images)
    config, run = read_run(source)
    check_file(Path(file), overwrite)
    network = load(source, model)
    if images is None:
        folder = None if data_dir is None else Path(data_dir)
        images = load_run_test_data(source, config, run, folder).test_x
    elif "features" in run["data"]:
        images = load_scaling(source)(images)
    return write_network(network, Path(file), images, of_run(config, run))


def check_file(path: Path, overwrite: bool) -> None:
    """Raise an error if the file cannot be written."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path} must end in .pt2 (torch.export) or .onnx")
    if os.path.lexists(path) and not overwrite:
        raise TakenError(f"{path} exists: choose another file, or overwrite it (--overwrite)")
    if not path.absolute().parent.is_dir():
        raise MissingFileError(f"no folder {path.parent} for {path.name}: create it")


def of_run(config: Config, run: dict[str, Any]) -> dict[str, Any]:
    """Return what an exported file says of the run of its network."""
    return {"model": config.model, "classes": run["data"]["classes"]}


def write_network(
    network: nn.Module, path: Path, images: Any, description: dict[str, Any] | None = None
) -> Export:
    """Export a network. The file may exist."""
    convert = CONVERTERS[SUFFIXES[path.suffix]]
    of_table = isinstance(images, Tensor) and images.ndim == 2
    x = images[:CHECKED].float() if of_table else to_float(as_images(images)[:CHECKED])
    x = x.cpu()
    if len(x) < 2:
        raise InputError(f"at least 2 images are needed for the comparison, got {len(x)}")
    what = "scaled features" if of_table else "pixels from 0 to 1"
    description = (description or {}) | {
        "sense": __version__,
        "output": "logits",
        "input": f"{what}, float32, n x {' x '.join(map(str, x.shape[1:]))}",
        "weights_sha256": weights_sha256(network),
    }
    places = {parameter.device for parameter in network.parameters()}
    try:
        with kept_modes(network):
            labels = torch.empty(0, dtype=torch.int64)
            in_evaluation = check_network(network.cpu().eval(), x, labels).eval()
            with torch.no_grad():
                expected = in_evaluation(x)
                content, differences = convert(in_evaluation, x, expected, description)
    finally:
        if len(places) == 1:
            network.to(places.pop())
    write_atomically(path, content)
    return Export(path, differences, float(expected.abs().max()), len(x))


def compare(run: Callable[[Tensor], Tensor], x: Tensor, expected: Tensor) -> float:
    """Return the largest difference of the logits of an exported network from the expected ones, in
    a batch of one image and in a batch of all others. Raises InputError if it is too large."""
    with torch.no_grad():
        found = torch.cat([run(x[:1]), run(x[1:])])
    if found.shape != expected.shape:
        raise InputError(
            f"the exported network returns logits of shape {tuple(found.shape)}, the network "
            f"{tuple(expected.shape)}"
        )
    difference = float((found - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise InputError(
            f"the logits of the exported network differ by up to {difference:.1e}, more than "
            f"{allowed:.1e}: it was not written"
        )
    return difference


def to_torch(
    network: nn.Module, x: Tensor, expected: Tensor, description: dict[str, Any]
) -> tuple[bytes, float]:
    """Return the bytes of a .pt2 file, and the largest difference of a logit."""
    with failures("torch.export"), quiet():
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(network, (x[:2],), dynamic_shapes=({0: batch},))
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        loaded = torch.export.load(io.BytesIO(buffer.getvalue())).module()
    difference = compare(loaded, x, expected)
    buffer = io.BytesIO()
    text = json.dumps(description | {"largest_difference": difference, "images": len(x)})
    with quiet():
        torch.export.save(program, buffer, extra_files={METADATA: text})
    return buffer.getvalue(), difference


def to_onnx(
    network: nn.Module, x: Tensor, expected: Tensor, description: dict[str, Any]
) -> tuple[bytes, float]:
    """Return the bytes of an .onnx file, and the largest difference of a logit."""
    for package in ("onnx", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError:
            raise MissingPackageError(
                f"ONNX needs the package {package}: pip install 'sense-at[onnx]'"
            ) from None
    with failures("torch.onnx.export"), quiet():
        program = torch.onnx.export(
            network,
            (x[:2],),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: "batch"},),
        )
    assert program is not None
    proto = program.model_proto
    difference = compare(onnx_runner(proto), x, expected)
    for name, value in {**description, "largest_difference": difference, "images": len(x)}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        proto.metadata_props.add(key=name, value=text)
    return proto.SerializeToString(), difference


CONVERTERS = {"torch": to_torch, "onnx": to_onnx}


def onnx_runner(proto: Any) -> Callable[[Tensor], Tensor]:
    """Return an ONNX network as a function: by onnxruntime if it is installed, otherwise by the
    reference evaluator of onnx."""
    try:
        from onnxruntime import InferenceSession

        session = InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(proto)
    return lambda x: torch.from_numpy(session.run(None, {"images": x.numpy()})[0])


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Raise what an exporter raises as InputError, with its reason."""
    try:
        yield
    except Exception as error:  # exporters raise many kinds of errors
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise InputError(
            f"the network cannot be exported by {what}: {type(error).__name__}: {reason}. Its "
            "operations must not depend on values of the images"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, exporters neither warn nor log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class ExportArguments:
    run: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(metavar="RUN", help="folder of a run", help_behavior_hint="(required)"),
    ]
    format: Annotated[Format, Help("torch: torch.export, .pt2; onnx: ONNX, .onnx")] = "onnx"
    out: Annotated[
        Path | None, Help("the file", default="model.onnx or model.pt2 in the folder of the run")
    ] = None
    overwrite: Annotated[bool, Help("replace the file if it exists")] = False
    model: Annotated[str | None, Help("network of the run, if it is a MODULE:FACTORY")] = None
    data_dir: Annotated[Path | None, Help("folder of the data of the run, if it was moved")] = None


@command("sense.export")
def export_main(argv: list[str]) -> None:
    """`python -m sense.export`."""
    arguments = tyro.cli(
        ExportArguments,
        args=argv,
        prog="python -m sense.export",
        description=(
            "Export the network of a run to a file that needs neither sense nor its code. The "
            "exported network is compared with the network on 100 test images."
        ),
    )
    suffix = next(end for end, name in SUFFIXES.items() if name == arguments.format)
    out = arguments.out or arguments.run / f"model{suffix}"
    if out.suffix != suffix:
        raise InputError(f"--out must end in {suffix} for --format {arguments.format}, got {out}")
    done = export(
        arguments.run,
        out,
        model=arguments.model,
        data_dir=arguments.data_dir,
        overwrite=arguments.overwrite,
    )
    print(done)
