"""Decides which images to restore and where each output goes, before any work starts.

| input | default output | with -o OUT |
|---|---|---|
| one image NAME.EXT | NAME.restored.EXT beside it | OUT, or OUT/NAME.EXT if OUT is a folder |
| a folder IN | IN.restored/, with the same folders and names | OUT/, with the same folders and names |
| a pattern | NAME.restored.EXT beside each image | OUT/, with the folders below where the pattern begins |
| several of these | each as above | OUT/NAME.EXT, OUT/IN/..., a pattern as above |

Outputs of earlier runs are left out if their input is there too. An input fails if its output is already the
output of another input, or would replace an input.
"""

import errno
import functools
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uformer.errors import OptionError, PictureError
from uformer.image.formats import SUFFIXES, can_write, is_known
from uformer.output import check_output, nearest, what_lies_at, why_closed
from uformer.restore.forms import check_suffix
from uformer.restore.unread import is_unread_image, refused_by_contents, summary
from uformer.restore.walk import (
    Found,
    identity,
    is_pattern,
    match,
    original,
    output_name,
    walk,
    written_name,
)
from uformer.staging import staging
from uformer.zarr_folder import is_meant


@dataclass(frozen=True)
class FileJob:
    """One image to restore."""

    source: Path
    output: Path


@dataclass
class WorkList:
    """The jobs of a run, and the outcomes that are known beforehand."""

    jobs: list[FileJob] = field(default_factory=list)
    done: list[FileJob] = field(default_factory=list)
    """Jobs whose outputs exist."""
    failures: list[tuple[Path, str]] = field(default_factory=list)
    """Inputs that cannot be restored, and the reasons."""
    left_out: list[Path] = field(default_factory=list)
    """Outputs of earlier runs among the inputs."""
    unread: list[Path] = field(default_factory=list)
    """Images in folders whose format is not read."""
    home: Path | None = None
    """The folder of all outputs, if there is one."""

    @property
    def count(self) -> int:
        return len(self.jobs) + len(self.done) + len(self.failures)


def is_one_picture(arguments: Sequence[str]) -> bool:
    """Return whether the arguments name one image, and neither a folder of images nor a pattern."""
    return len(arguments) == 1 and not is_pattern(arguments[0]) and not _is_folder(arguments[0])


def one_job(argument: str, output: str | None, *, overwrite: bool) -> FileJob:
    """Return the job for one image file.

    Raises PictureError if there is no such file or its format is not read, OptionError if the output cannot
    be named or written.
    """
    source = Path(argument)
    if not source.name:
        raise PictureError(f"{argument!r} is not a file name")
    if not os.path.lexists(source):
        raise PictureError(f"{source}: {os.strerror(errno.ENOENT)}")
    if output is None and not is_known(source.suffix):
        if why := refused_by_contents(source):  # naming an output would not help
            raise PictureError(f"{source}: {why}")
        raise OptionError(
            f"{source}: the suffix {source.suffix!r} is not one of {', '.join(SUFFIXES)};"
            " name the output with -o"
        )
    if output is None:
        path = source.with_name(output_name(source))
    else:
        path = (
            Path(output) / written_name(source)
            if output.endswith(("/", os.sep)) or _is_folder(output)
            else Path(output)
        )
    check_picture_output(path, source, overwrite=overwrite)
    return FileJob(source, path)


def check_picture_output(path: Path, source: Path | None, *, overwrite: bool) -> None:
    """Check the output of an image.

    Raises OptionError as `check_output` does, and for a suffix that is unknown or cannot be written.
    """
    check_suffix(path)
    check_output(path, overwrite=overwrite, source=source)


def check_beside(
    work: WorkList, beside: Callable[[Path], Sequence[Path]], *, alone: bool, overwrite: bool
) -> None:
    """Make a job fail if a file that will lie beside its output exists and must not be replaced.

    `beside`: returns these files for an output. Raises OptionError instead if the job is the only one
    (`alone`).
    """
    for job in list(work.jobs):
        try:
            if job.output.parent.is_dir():  # the folder of several outputs is created later
                for path in beside(job.output):
                    check_output(path, overwrite=overwrite, source=job.source)
        except OptionError as error:
            if alone:
                raise
            work.jobs.remove(job)
            work.failures.append((job.source, str(error)))


def list_work(arguments: Sequence[str], output: str | None, *, overwrite: bool) -> WorkList:
    """Return the work for folders, patterns and several images; see the table above.

    Raises OptionError if `output` cannot be the folder of all outputs, PictureError if no image is found.
    """
    result = WorkList()
    absolute = {_absolute(argument) for argument in arguments}
    chosen = []
    for argument in arguments:
        made_from = _absolute(original(Path(argument), folder=_is_folder(argument)))
        if made_from != _absolute(argument) and made_from in absolute:
            result.left_out.append(Path(argument))
        else:
            chosen.append(argument)
    out = result.home = (
        None if output is None else _checked_folder(Path(output), [Path(argument) for argument in chosen])
    )
    jobs: dict[Path, FileJob] = {}
    for argument in chosen:
        for job in _jobs(argument, out, result, alone=len(arguments) == 1):
            jobs.setdefault(_absolute(job.source), job)
    if not jobs and not result.failures:
        there = " except outputs of earlier runs" if result.left_out else ""
        left_out = f"; {summary(result.unread)}" if result.unread else ""
        more = f" and {len(arguments) - 1} more" if len(arguments) > 1 else ""
        raise PictureError(f"{arguments[0]}{more}: no images found{there} ({', '.join(SUFFIXES)}){left_out}")
    _sort_out(list(jobs.values()), result, overwrite=overwrite)
    return result


def _jobs(argument: str, out: Path | None, result: WorkList, *, alone: bool) -> Iterator[FileJob]:
    """Yield the jobs of one argument. Inputs that fail or are left out are added to `result`."""
    source = Path(argument)
    if is_pattern(argument):
        root, found = match(argument, without=out)
        if found.folders and not found.pictures:
            for folder in found.folders:
                yield from _jobs(str(root / folder), out and out / folder.parent, result, alone=False)
            return
        if not (alone or found.pictures or found.left_out or found.unreadable):
            result.failures.append((source, "no file matches this pattern"))
        _note(root, found, result)
        for below in found.pictures:
            inside = below.with_name(written_name(below) if out else output_name(below))
            yield FileJob(root / below, (out or root) / inside)
    elif _is_folder(source):
        named = source if source.name not in ("", "..") else _absolute(source)
        if out is None and not named.name:
            raise OptionError(f"{source}: there is no place beside it for the outputs; name a folder with -o")
        if out is None:
            home = _checked_folder(named.with_name(output_name(named, folder=True)), [source])
            result.home = home if alone else None
        else:
            home = out if alone else out / named.name
        found = walk(source, without=out or home)
        _note(source, found, result)
        for below in found.pictures:
            yield FileJob(source / below, home / below.with_name(written_name(below)))
    elif not os.path.lexists(source):
        result.failures.append((source, os.strerror(errno.ENOENT)))
    elif not is_known(source.suffix) and not is_meant(source):
        unknown = f"the suffix {source.suffix!r} is not one of {', '.join(SUFFIXES)}"
        result.failures.append((source, refused_by_contents(source) or unknown))
    else:
        yield FileJob(source, out / written_name(source) if out else source.with_name(output_name(source)))


def _note(root: Path, found: Found, result: WorkList) -> None:
    result.failures += [(root / below, why) for below, why in found.unreadable]
    result.left_out += [root / below for below in found.left_out]
    result.unread += [root / below for below in found.others if is_unread_image(root / below)]


def _checked_folder(out: Path, inputs: Sequence[Path]) -> Path:
    """Return `out` if it can be the folder of the outputs. Raises OptionError otherwise."""
    if os.path.exists(out) and not os.path.isdir(out):
        raise OptionError(f"{out}: is a file; several images need an output folder")
    if not os.path.exists(out) and can_write(out.suffix):
        raise OptionError(f"{out}: is the name of an image file; several images need an output folder")
    for source in inputs:
        if os.path.isdir(source) and identity(out) == identity(source):
            raise OptionError(f"{out}: the outputs would replace the inputs; choose another folder")
    return out


def _sort_out(jobs: Sequence[FileJob], result: WorkList, *, overwrite: bool) -> None:
    """Add each job to the jobs, the done or the failures of `result`."""
    originals = {identity(job.source) for job in jobs} - {None}
    taken: dict[Path, Path] = {}
    folded: dict[str, tuple[Path, Path]] = {}
    real_folder, closed = functools.cache(os.path.realpath), functools.cache(why_closed)
    for job in jobs:
        exists, why = what_lies_at(job.output)
        why = why or (None if exists and not overwrite else closed(job.output.parent))
        if why:
            result.failures.append((job.source, f"{job.output}: {why}"))
            continue
        place = Path(real_folder(job.output.parent), job.output.name)
        if place.is_symlink():  # an output is written where the link leads
            place = Path(os.path.realpath(place))
        same, other = folded.setdefault(_fold(str(place)), (place, job.source))
        if place in taken:
            why = f"its output {job.output} is already the output of {taken[place]}"
        elif same != place and ignores_case(job.output.parent):
            why = (
                f"its output {job.output} is already the output of {other}:"
                " the file system treats both names as the same"
            )
        elif exists and identity(job.output) in originals:
            why = f"its output {job.output} would replace an input"
        if why:
            result.failures.append((job.source, why))
            continue
        taken[place] = job.source
        (result.done if exists and not overwrite else result.jobs).append(job)


def _is_folder(path: str | Path) -> bool:
    """Return whether a path is a folder that may hold images. A Zarr is an image itself."""
    return os.path.isdir(path) and not is_meant(path)


def _absolute(path: str | Path) -> Path:
    """Return the absolute path without "..", not following links."""
    return Path(os.path.normpath(Path.cwd() / path))


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def ignores_case(folder: Path) -> bool:
    """Return whether a folder, or its nearest existing parent, ignores case in names."""
    try:
        with staging(nearest(folder)) as probe:
            return os.path.exists(probe.with_name(probe.name.upper()))
    except OSError:
        return False  # writing the outputs reports the error
