"""`uformer export`."""

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from uformer.config import UformerConfig
from uformer.errors import CheckpointError, ExportError, OptionError
from uformer.export import darktable
from uformer.export.calibrate import CalibrationPair, calibration_pairs, load_nncf, measure, quantize
from uformer.export.facts import NAMES, ExportPrecision, metadata
from uformer.export.verify import TOLERANCES, Pictures, Run, check, compare, examples
from uformer.files import atomic_path, require
from uformer.output import check_output
from uformer.processors import limit_torch
from uformer.signals import stops_like_ctrl_c
from uformer.values import parse_size
from uformer.weights import checkpoint
from uformer.weights.create import weights_file
from uformer.weights.provenance import NOT_STATED, Provenance

if TYPE_CHECKING:
    from uformer.model.uformer import Uformer

ExportFormat = Literal["onnx", "openvino", "torch", "darktable"]

SUFFIXES: dict[ExportFormat, str] = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "torch": ".pt2",
    "darktable": darktable.SUFFIX,
}
LEAST_INT8 = 30.0  # dB of PSNR against the network on the calibration images; less means that something broke


def export(
    weights: str,
    *,
    format_: Annotated[ExportFormat, Parameter(name="--format")] = "onnx",
    precision: ExportPrecision = "fp32",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    shape: str | None = None,
    calibrate: Path | None = None,
    licence: str | None = None,
    overwrite: bool = False,
) -> None:
    """Export weights to a file for other programs. The file accepts images of any height and width.

    Before the file is kept, it is run at three sizes or at that of --shape, and compared with the network.

    Parameters
    ----------
    weights
        A name (uformer_t.denoise) or a .safetensors checkpoint.
    format_
        onnx (.onnx), openvino (.xml with a .bin beside it), torch (a torch.export program, .pt2), or
        darktable (.dtmodel, which darktable 5.6 imports as a denoise model).
    precision
        fp32, fp16 (half the size), or int8 (a quarter of the size; for onnx and openvino), which needs
        --calibrate.
    out
        File to write. The default is NAME.onnx, NAME.xml or NAME.pt2, with .fp16 or .int8 after NAME; for
        darktable, TASK-NETWORK.dtmodel.
    shape
        HEIGHTxWIDTH in pixels: the file then accepts only one image of this size. The default is any size;
        for darktable, 768x768.
    calibrate
        For int8: a folder of images like those to restore. If it holds degraded/ and clean/, the loss against
        the clean images is measured too.
    licence
        Licence to write into the file, for your own weights.
    overwrite
        Replace OUT if it exists.
    """
    path = weights_file(weights)
    about = Provenance.of(path, licence=licence)
    size = None if shape is None else parse_size(shape, "--shape")
    default = f"{about.name}{'' if precision == 'fp32' else f'.{precision}'}{SUFFIXES[format_]}"
    if format_ == "darktable":
        size, default = size or (darktable.SIDE, darktable.SIDE), darktable.default_name(about)
    target = out or Path(default)
    _check(format_, precision, target, calibrate, size, overwrite=overwrite)
    if format_ == "darktable" and size:
        darktable.check(target, about, size)
    for module in ("torch",) if format_ == "torch" else ("torch", "onnx", "onnxruntime", "onnxscript"):
        require(module, "export")
    if precision == "int8":
        load_nncf()
    pairs = [] if calibrate is None else calibration_pairs(calibrate, about.config, about.range)
    from uformer.export import torch_program  # noqa: PLC0415 - torch is optional

    limit_torch(require("torch", "export"))
    model = checkpoint.load(path)
    with stops_like_ctrl_c(), _writing(target) as temporary:
        run = _write(format_, temporary, model, about, precision, pairs, shape=size, name=target.stem)
        _report(run, torch_program.in_torch(model), precision, examples(about.config, size), pairs)
        if format_ == "openvino":
            _beside(temporary).replace(_beside(target))
    stored = sum(
        file.stat().st_size for file in ([target, _beside(target)] if format_ == "openvino" else [target])
    )
    print(
        f"{target}: {about.name}, {_about(format_)}, {precision}, {stored / 1e6:.1f} MB, "
        f"licence of the weights: {about.licence}"
    )
    if about.licence == NOT_STATED:
        print("note: the file does not state a licence; add one with --licence")
    print(f"next: {_next(format_, target, about.config, size)}")


def _check(
    format_: ExportFormat,
    precision: ExportPrecision,
    target: Path,
    calibrate: Path | None,
    shape: tuple[int, int] | None,
    *,
    overwrite: bool,
) -> None:
    if target.suffix.lower() != SUFFIXES[format_]:
        raise OptionError(f"--out {target}: must end in {SUFFIXES[format_]} for --format {format_}")
    if precision == "int8" and format_ in ("torch", "darktable"):
        raise OptionError(f"--precision int8: not available for {format_}; use --format onnx or openvino")
    if precision == "int8" and shape is not None:
        raise OptionError(f"--shape {shape[0]}x{shape[1]}: not available for --precision int8")
    if precision == "int8" and calibrate is None:
        raise OptionError("--precision int8: needs --calibrate FOLDER, with images like those to restore")
    if precision != "int8" and calibrate is not None:
        raise OptionError(f"--calibrate {calibrate}: only for --precision int8, not for {precision}")
    for file in [target, _beside(target)] if format_ == "openvino" else [target]:
        check_output(file, overwrite=overwrite)


def _write(
    format_: ExportFormat,
    path: Path,
    model: "Uformer",
    about: Provenance,
    precision: ExportPrecision,
    pairs: Sequence[CalibrationPair],
    *,
    shape: tuple[int, int] | None,
    name: str,
) -> Run:
    """Write the file and load it again. `name`: that of a model for darktable."""
    from uformer.export import torch_program  # noqa: PLC0415 - torch is optional

    names = darktable.NAMES if format_ == "darktable" else NAMES
    half, facts = precision == "fp16", metadata(about, precision, shape=shape, names=names)
    # An OpenVINO file stores float16 weights, but its user chooses the precision, so its graph is float32.
    program = torch_program.trace(model, half=half and format_ != "openvino", shape=shape)
    if format_ == "torch":
        torch_program.write(path, program, facts)
        return torch_program.load(path)

    from uformer.export import onnx_model  # noqa: PLC0415 - onnx is optional

    if format_ == "darktable" and shape:
        graph = onnx_model.from_program(program, opset=darktable.OPSET, names=names)
        onnx_model.describe(graph, facts)
        darktable.write(path, graph, about, name=name, side=shape[0])
        return onnx_model.load(darktable.model_in(path))
    graph = onnx_model.from_program(program)
    if format_ == "onnx":
        onnx_model.write(path, quantize(graph, pairs) if precision == "int8" else graph, facts)
        return onnx_model.load(path)

    from uformer.export import openvino_model  # noqa: PLC0415 - takes long to import

    compiled = openvino_model.from_onnx(graph.SerializeToString())
    openvino_model.write(
        path, quantize(compiled, pairs) if precision == "int8" else compiled, facts, half=half
    )
    return openvino_model.load(path)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[Path]:
    """Like `atomic_path`, but raise CheckpointError if the file cannot be written."""
    try:
        with atomic_path(target) as temporary:
            yield temporary
    except OSError as error:
        raise CheckpointError(f"{target}: cannot be written: {error.strerror or error}") from None


def _report(
    run: Run,
    network: Run,
    precision: ExportPrecision,
    drawn: Sequence[Pictures],
    pairs: Sequence[CalibrationPair],
) -> None:
    """Print how much the file differs from the network. Raises ExportError if it differs too much."""
    found = compare(run, network, drawn)
    for each in found:
        print(each)
    if precision != "int8":
        check(found, tolerance=TOLERANCES[precision])
        return
    loss = measure(run, network, pairs)
    print(f"int8 on {len(pairs)} images: {loss}")
    if loss.agreement < LEAST_INT8:
        raise ExportError(
            f"int8: the PSNR against the network is {loss.agreement:.1f} dB, below {LEAST_INT8:.0f} dB; "
            "calibrate with other images or use fp16"
        )


def _beside(path: Path) -> Path:
    """Return the file that holds the weights of an OpenVINO .xml."""
    return path.with_suffix(".bin")


def _about(format_: ExportFormat) -> str:
    if format_ == "torch":
        return "torch.export program"
    if format_ == "darktable":
        return f"package for darktable with ONNX opset {darktable.OPSET}"
    from uformer.export.onnx_model import OPSET  # noqa: PLC0415 - onnx is optional

    return f"ONNX opset {OPSET}" if format_ == "onnx" else f"OpenVINO IR made from ONNX opset {OPSET}"


def _next(format_: ExportFormat, path: Path, config: UformerConfig, shape: tuple[int, int] | None) -> str:
    name = shlex.quote(str(path))
    if format_ == "darktable":
        return f"in darktable, preferences > AI > import from file, and choose {name}"
    if format_ == "torch":
        return f"python -c 'import sys, torch; print(torch.export.load(sys.argv[1]).module())' {name}"
    if format_ == "openvino":
        return f"python -c 'import sys, openvino; print(openvino.Core().compile_model(sys.argv[1]))' {name}"
    if config.in_channels != config.out_channels or shape is not None:
        code = "import sys, onnxruntime; print(onnxruntime.InferenceSession(sys.argv[1]).get_inputs())"
        return f"python -c '{code}' {name}"
    return f"uformer restore photo.jpg --weights {name}"
