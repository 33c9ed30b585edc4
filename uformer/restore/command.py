"""`uformer restore`."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from uformer.bars import Bars
from uformer.errors import OptionError, UnknownOption
from uformer.files import Times
from uformer.image.any_stack import is_stack
from uformer.image.formats import by_suffix
from uformer.image.prepare import check
from uformer.image.read import DEFAULT_LIMITS, read
from uformer.image.write import MetadataPolicy, encode, write
from uformer.notices import ignore, to_stderr
from uformer.restore import pipeline
from uformer.restore.announcer import Announcer, range_used
from uformer.restore.chain import make_restorer
from uformer.restore.changes import note_little_change
from uformer.restore.masks import mask_values
from uformer.restore.options import RestoreOptions
from uformer.restore.planes import check_not_automatic, reported
from uformer.restore.reblend import blend_again
from uformer.restore.reporting.report_files import report_files
from uformer.restore.residual_file import residual_file
from uformer.restore.restorer import Restorer
from uformer.restore.stream_stack import stack_through
from uformer.restore.worklist import (
    WorkList,
    check_beside,
    check_picture_output,
    is_one_picture,
    list_work,
    one_job,
)
from uformer.signals import stops_like_ctrl_c


def restore(
    *images: Annotated[str, Parameter(allow_leading_hyphen=True)],
    output: Annotated[str | None, Parameter(name=["--output", "-o"], allow_leading_hyphen=True)] = None,
    options: Annotated[RestoreOptions, Parameter(name="*")] = RestoreOptions(),
    mask: str | None = None,
    metadata: MetadataPolicy = "keep",
    times: Times = "now",
    overwrite: bool = False,
    report: Annotated[bool, Parameter(negative=())] = False,
    keep_residual: Annotated[bool, Parameter(negative=())] = False,
    residual: str | None = None,
    records: Annotated[bool, Parameter(name="--json", negative=())] = False,
    quiet: bool = False,
) -> int:
    """Restore noisy, rainy or blurred images.

    Parameters
    ----------
    images
        Image files (PNG, JPEG, WebP, TIFF, AVIF, GIF; HEIC, camera raw and Zarr with an extra), folders, or
        patterns such as "photos/**/*.jpg"; or - for standard input.
    output
        For one image: the file to write, whose suffix selects the format (.dng for camera raw only), or - for
        standard output. Default: NAME.restored.EXT beside the image. For several images: a folder. Default:
        NAME.restored beside a folder NAME.
    mask
        Gray image file: its white parts are restored, its black parts stay as they are. It needs the width
        and height of the image, or the same ratio of them.
    metadata
        Keep or strip EXIF, XMP and IPTC; safe removes location, serial numbers, names and thumbnails. The
        colour profile always stays.
    times
        keep gives each output the modification time of its input.
    overwrite
        Replace outputs that exist. Without it, images whose outputs exist are skipped.
    report
        Write what changed beside each output: OUTPUT.report.json with figures, and OUTPUT.report.png with the
        images, their difference and a map of how far to trust the result. Takes four times as long, or no
        longer with --ensemble.
    keep_residual
        Keep the network's answer beside each output, as OUTPUT.residual.npz: 6 bytes per pixel in colour.
    residual
        File that --keep-residual wrote for this image: apply the controls and the mask to it, without
        running the network.
    records
        Print one JSON record per image on standard output.
    quiet
        Print errors only.
    """
    _check_images(images)
    beside = _beside(images, output, options, report=report, keep_residual=keep_residual)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="surrogateescape" if sys.stdout.encoding.lower() == "utf-8" else "backslashreplace"
        )
    shares = None if mask is None else mask_values(mask, notify=to_stderr(quiet=quiet))

    if residual is not None:
        if beside or records:
            raise OptionError("--residual: cannot be combined with --report, --keep-residual and --json")
        return blend_again(
            images, output, Path(residual), options, shares, metadata, times, overwrite=overwrite, quiet=quiet
        )

    def make() -> Restorer:
        restorer = make_restorer(options, notify=to_stderr(quiet=quiet))
        return restorer if shares is None else restorer.masked(shares)

    with stops_like_ctrl_c():
        if "-" in (*images, output):
            if times == "keep":
                raise OptionError("--times keep: standard input and output have no times; name files")
            return _through_streams(
                images, output, options, make, metadata, overwrite=overwrite, records=records, quiet=quiet
            )
        one = is_one_picture(images)
        todo = (
            WorkList(jobs=[one_job(images[0], output, overwrite=overwrite)])
            if one
            else list_work(images, output, overwrite=overwrite)
        )
        check_beside(
            todo,
            lambda path: [file for files in beside for file in files(path)],
            alone=one,
            overwrite=overwrite,
        )
        if one:  # of several images, the pipeline refuses those that are stacks
            check_not_automatic(todo.jobs[0].source, options)
        announcer = Announcer(
            todo, quiet=quiet, records=records, overwrite=overwrite, many=not one, tasks=options.task_names
        )
        try:
            with announcer:
                if todo.jobs:
                    pipeline.run(
                        todo.jobs,
                        make,
                        announcer,
                        metadata=metadata,
                        times=times,
                        threads=options.threads,
                        reports=report,
                        keep=keep_residual,
                    )
        except KeyboardInterrupt:
            announcer.interrupted()
            return 130
        return announcer.end()


def _check_images(images: Sequence[str]) -> None:
    """Raise UnknownOption or OptionError unless images are named."""
    for argument in images:
        if argument.startswith("-") and argument != "-" and not Path(argument).exists():
            raise UnknownOption(argument)
    if not images:
        raise OptionError("no image given; name a file, a folder, a pattern, or - for standard input")


def _beside(
    images: Sequence[str], output: str | None, options: RestoreOptions, *, report: bool, keep_residual: bool
) -> list[Callable[[Path], Sequence[Path]]]:
    """Return functions from an output to the files to write beside it. Raises OptionError if it has none."""
    asked = [("--report", report), ("--keep-residual", keep_residual)]
    for name, given in asked:
        if given and "-" in (*images, output):
            raise OptionError(f"{name}: is written beside an output file; name files instead of -")
    if keep_residual and options.tasks is not None:
        raise OptionError("--keep-residual: keeps the answer of one network; give --task instead of --tasks")
    return [report_files] * report + [lambda path: [residual_file(path)]] * keep_residual


def _through_streams(
    images: tuple[str, ...],
    output: str | None,
    options: RestoreOptions,
    make: Callable[[], Restorer],
    metadata: MetadataPolicy,
    *,
    overwrite: bool,
    records: bool,
    quiet: bool,
) -> int:
    """Restore one image from standard input, to standard output, or both."""
    if not is_one_picture(images) or records:
        raise OptionError("-: standard input and output take exactly one image, without --json")
    (source,) = images
    path = None if output in (None, "-") else Path(output or "")
    # A stream that the caller closed is None here; `sys.stdin` and `sys.stdout` lead to the null device then.
    if source == "-" and sys.__stdin__ is None:
        raise OptionError("-: standard input is closed")
    if path is None and sys.__stdout__ is None:
        raise OptionError("-: standard output is closed")
    if path is not None:
        check_picture_output(path, None, overwrite=overwrite)
    bars = Bars(1, shown=not quiet and sys.stderr.isatty())

    def notify(message: str) -> None:
        if not quiet:
            bars.say(f"uformer: {message}")

    data = sys.stdin.buffer.read(DEFAULT_LIMITS.max_bytes + 1) if source == "-" else source
    if is_stack(data):
        with bars:
            ranges, depth = stack_through(data, path, options, make, metadata, bars, notify)
            if (of_channels := reported(ranges, depth)) is not None:
                notify(range_used(of_channels))
        if path is not None and not quiet:
            print(path)
        return 0
    image = read(data, notify=notify)
    suffix = image.suffix if path is None else path.suffix
    check(image, by_suffix(suffix), metadata, notify=ignore)  # before the network runs for nothing
    restorer = make()
    with bars:
        bars.started("standard input" if source == "-" else Path(source).name)
        used = restorer.range_of_image(image, notify=notify)
        restored = restorer.restore_image(image, used=used, progress=bars.tile, notify=notify)
        note_little_change(image.pixels, restored.pixels, used, restorer.options, notify)
        if (limits := used.reported(image.depth)) is not None:
            notify(range_used(limits))
    if path is None:
        sys.stdout.buffer.write(
            encode(restored, suffix, metadata=metadata, quality=restorer.options.quality, notify=notify)
        )
        sys.stdout.buffer.flush()
        return 0
    write(restored, path, metadata=metadata, quality=restorer.options.quality, notify=notify)
    if not quiet:
        print(path)
    return 0
