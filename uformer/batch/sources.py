"""Lists the images that IN names, and the path of each output below OUT.

| IN | output below OUT |
|---|---|
| a folder | the path below the folder, as `uformer restore` names it |
| a pattern | the path below the folder where the pattern begins |
| .parquet with a column `input`, .txt with one input per line | column `output`, or the input's whole path |
| an image | its name |

Relative inputs of a .parquet or .txt file are relative to the folder of that file.
"""

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uformer.batch import places
from uformer.errors import OptionError, PictureError
from uformer.files import one_line
from uformer.image.extras import can_read
from uformer.image.formats import SUFFIXES, can_write, is_known, read_only
from uformer.restore.unread import summary
from uformer.restore.walk import Found, is_pattern, match, original, walk, written_name
from uformer.zarr_folder import is_meant

_MAGIC = frozenset("*?[")
_NO_ZARR = "is a Zarr, which a batch does not restore; use `uformer restore`"


@dataclass
class Inputs:
    """The images of a job, in a stable order."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    """Input, and the path of its output below OUT, with slashes."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Inputs that cannot be read or whose outputs cannot be named, and the reasons."""
    left_out: int = 0
    """Number of outputs of earlier runs among the inputs."""
    unread: list[Path] = field(default_factory=list)
    """HEIC and camera raw files that cannot be read without an extra."""


def list_inputs(source: str, *, without: str) -> Inputs:
    """List the images that `source` names, except those below the place `without`.

    Raises OptionError if `source` is not a valid IN, PictureError if no image is found, OSError if a place
    cannot be listed.
    """
    if source.lower().endswith((".parquet", ".txt")) and not (
        places.is_local(source) and Path(places.normal(source)).is_dir()
    ):
        if places.is_local(source) and is_pattern(source):
            raise OptionError(f"{source}: a pattern cannot name .parquet or .txt files; give one such file")
        result = _from_list(source)
    elif places.is_local(source):
        result = _local(source, without)
    else:
        result = _remote(source.rstrip("/"), without)
    if not result.pairs and not result.failures:
        there = " except outputs of earlier runs" if result.left_out else ""
        unread = f"; {summary(result.unread)}" if result.unread else ""
        raise PictureError(f"{source}: no images found{there} ({', '.join(SUFFIXES)}){unread}")
    return result


def _local(source: str, without: str) -> Inputs:
    pattern = source.removeprefix("file://").removeprefix("local://")
    out = Path(without) if places.is_local(without) else None
    result = Inputs()
    if is_meant(pattern):
        raise PictureError(f"{source}: {_NO_ZARR}")
    if Path(pattern).is_dir():
        _take(Path(pattern), walk(Path(pattern), without=out), result)
    elif is_pattern(pattern):
        root, found = match(pattern, without=out)
        _take(root, found, result)
        if not found.pictures:
            for folder in found.folders:
                _take(root / folder, walk(root / folder, without=out), result, below=folder)
    elif not Path(pattern).exists():
        raise PictureError(f"{source}: no such file or folder")
    elif not is_known(Path(pattern).suffix):
        raise OptionError(f"{source}: expected a folder, a pattern, a .parquet or .txt file, or an image")
    else:
        result.pairs.append((places.normal(pattern), written_name(Path(pattern))))
    return result


def _take(root: Path, found: Found, result: Inputs, *, below: Path = Path()) -> None:
    for path in found.pictures:
        if is_meant(root / path):
            result.failures.append((places.normal(str(root / path)), _NO_ZARR))
            continue
        name = (below / path).with_name(written_name(path)).as_posix()
        result.pairs.append((places.normal(str(root / path)), name))
    result.failures += [(places.normal(str(root / path)), why) for path, why in found.unreadable]
    result.left_out += len(found.left_out)
    result.unread += [root / path for path in found.others if read_only(path.suffix)]


def _remote(source: str, without: str) -> Inputs:
    system, inside = places.open_remote(source)
    out = (
        None
        if places.is_local(without) or without.partition("://")[0] != source.partition("://")[0]
        else places.open_remote(without)[1]
    )
    if _MAGIC & set(inside):
        parts = PurePosixPath(inside).parts
        fixed = next(number for number, part in enumerate(parts) if _MAGIC & set(part))
        root = str(PurePosixPath(*parts[:fixed])) if fixed else ""
        paths = places.find(system, inside, pattern=True)
    else:
        root, paths = inside, places.find(system, inside)
    if paths == [inside]:
        return Inputs([(source, written_name(PurePosixPath(inside)))])
    names = sorted(
        PurePosixPath(path).relative_to(root)
        for path in paths
        if out is None or not PurePosixPath(path).is_relative_to(out)
    )
    there = set(names) | {parent for name in names for parent in name.parents}
    result = Inputs()
    for name in names:
        if any(part.startswith(".") for part in name.parts):
            continue
        if not can_read(name.suffix):
            if read_only(name.suffix):
                result.unread.append(Path(name))
            continue
        if _is_output(name, there):
            result.left_out += 1
        else:
            full = system.unstrip_protocol(f"{root}/{name}" if root else str(name))
            result.pairs.append((full, str(name.with_name(written_name(name)))))
    return result


def _is_output(name: PurePosixPath, there: set[PurePosixPath]) -> bool:
    """Return whether an image, or a folder above it, is an output of an earlier run whose input is there."""
    for each in (name, *name.parents[:-1]):
        made_from = PurePosixPath(original(Path(each), folder=each != name).as_posix())
        if made_from != each and made_from in there:
            return True
    return False


def _from_list(source: str) -> Inputs:
    place = places.normal(source)
    try:
        data = places.read_bytes(place)
    except FileNotFoundError:
        raise OptionError(f"{source}: no such file") from None
    folder = str(Path(place).parent) if places.is_local(place) else place.rpartition("/")[0]
    result, names = Inputs(), dict[str, str]()
    for number, (written, name) in enumerate(_rows(source, data)):
        if not written:
            result.failures.append((f"{source}: row {number + 1}", "has no input"))
            continue
        full = places.normal(
            written if "://" in written or Path(written).is_absolute() else places.join(folder, written)
        )
        below = name or written.partition("://")[2] or written
        if not name and PurePosixPath(below).name:
            below = str(PurePosixPath(below).with_name(written_name(PurePosixPath(below))))
        parts = PurePosixPath(below.lstrip("/") if not name else below).parts
        if not parts or ".." in parts or parts[0] == "/" or "://" in below:
            result.failures.append((full, f"its output {one_line(below)} is not a relative path below OUT"))
        elif not can_write(PurePosixPath(below).suffix):
            result.failures.append(
                (full, f"the suffix of its output {one_line(below)} is not one of {', '.join(SUFFIXES)}")
            )
        else:
            output = str(PurePosixPath(*parts))
            if names.setdefault(full, output) != output:
                raise OptionError(
                    f"{source}: row {number + 1}: {full} already has the output {names[full]};"
                    " an input can have only one output"
                )
            result.pairs.append((full, output))
    return result


def _rows(source: str, data: bytes) -> list[tuple[str | None, str | None]]:
    """Return input and output of each row, as written in the file."""
    if source.lower().endswith(".txt"):
        try:
            return [(line.strip(), None) for line in data.decode("utf-8-sig").splitlines() if line.strip()]
        except UnicodeDecodeError:
            raise OptionError(f"{source}: is not UTF-8 text") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        columns = [name for name in ("input", "output") if name in file.schema_arrow.names]
        table: Any = file.read(columns=columns, use_threads=False)
    except pa.ArrowException as error:
        raise OptionError(f"{source}: cannot be read as Parquet: {one_line(error)}") from None
    if "input" not in columns:
        raise OptionError(
            f"{source}: has no column 'input'; its columns are {one_line(', '.join(file.schema_arrow.names))}"
        )
    for name in columns:
        if not _holds_strings(table.schema.field(name).type):
            raise OptionError(
                f"{source}: column {name!r} has type {table.schema.field(name).type}; expected strings"
            )
    inputs = table["input"].to_pylist()
    return list(
        zip(inputs, table["output"].to_pylist() if "output" in columns else [None] * len(inputs), strict=True)
    )


def _holds_strings(kind: Any) -> bool:
    """Return whether a column of this type holds strings, or only nulls."""
    of = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        check(of)
        for check in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    )
