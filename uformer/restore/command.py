"""`uformer restore`."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from uformer.errors import OptionError, PictureError
from uformer.image.read import DEFAULT_LIMITS, read
from uformer.image.write import encode, supports, write
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer, default_output


def restore(
    picture: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], allow_leading_hyphen=True)] = None,
    options: Annotated[RestoreOptions, Parameter(name="*")] = RestoreOptions(),
    metadata: Literal["keep", "strip"] = "keep",
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Restore a picture: noisy in, clean out.

    Parameters
    ----------
    picture
        The picture's file (PNG, JPEG, WebP, TIFF, AVIF), or - for standard input.
    output
        The file to write, its format by its suffix; - for standard output. By default NAME.restored.EXT beside the picture.
    metadata
        Keep EXIF and XMP, or strip them; the colour profile always stays.
    overwrite
        Replace the output if it exists.
    quiet
        Print nothing but errors.
    """
    from_stdin = picture == "-"
    to_stdout = output == Path("-") or (from_stdin and output is None)
    if picture.startswith("-") and not from_stdin and not Path(picture).exists():
        raise OptionError(f"unknown option {picture}")
    path = output or default_output(Path(picture))
    if not to_stdout:
        _check_output(path, None if from_stdin else Path(picture), overwrite=overwrite)
    image = read(sys.stdin.buffer.read(DEFAULT_LIMITS.max_bytes + 1) if from_stdin else picture)
    restorer = Restorer.from_options(options)
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
        warnings.showwarning = lambda message, *_args, **_kwargs: print(f"uformer: {message}", file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("tiles"), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as bar:
            task = bar.add_task(Path(picture).name, total=None)
            restored = restorer.restore_image(image, progress=lambda done, total: bar.update(task, completed=done, total=total))
    if to_stdout:
        sys.stdout.buffer.write(encode(restored, image.suffix, metadata=metadata))
        sys.stdout.buffer.flush()
        return 0
    write(restored, path, metadata=metadata)
    if not quiet:
        print(path)
    return 0


def _check_output(path: Path, picture: Path | None, *, overwrite: bool) -> None:
    """Raise before any work is done for nothing: the output's format, folder, and what already lies there."""
    if not supports(path.suffix):
        raise OptionError(f"{path}: unknown format {path.suffix!r}; use .png, .jpg, .webp, .tif or .avif")
    if picture is not None and path.exists() and picture.exists() and path.samefile(picture):
        raise OptionError(f"{path}: the output would replace the picture itself; give another with -o")
    if path.exists() and not overwrite:
        raise OptionError(f"{path} exists; give another with -o, or --overwrite")
    if not path.parent.is_dir():
        raise PictureError(f"{path.parent}: no such folder")
