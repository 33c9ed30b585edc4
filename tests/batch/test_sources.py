"""The images that IN names, and the names of their outputs."""

import re
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uformer.batch.places import write_bytes
from uformer.batch.sources import list_inputs
from uformer.errors import OptionError, PictureError
from uformer.image import extras
from uformer.restore.worklist import list_work

FILES = [
    "a.png",
    "b.JPG",
    "sub/a.png",
    "sub/deep/c.tif",
    "notes.txt",
    ".hidden.png",
    ".git/x.png",
    "a.restored.png",
    "sub.restored/a.png",
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    return tmp_path / "in"


@pytest.fixture
def store() -> Iterator[str]:
    fsspec.filesystem("memory").store.clear()
    for name in FILES:
        write_bytes(f"memory://in/{name}", b"")
    yield "memory://in"
    fsspec.filesystem("memory").store.clear()


def test_a_folder_is_what_restore_takes_it_for(tree: Path, tmp_path: Path) -> None:
    jobs = list_work([str(tree)], str(tmp_path / "out"), overwrite=False).jobs
    found = list_inputs(str(tree), without=str(tmp_path / "out"))
    assert found.pairs == [
        (str(job.source), job.output.relative_to(tmp_path / "out").as_posix()) for job in jobs
    ]
    assert [name for _, name in found.pairs] == ["a.png", "b.JPG", "sub/a.png", "sub/deep/c.tif"]
    assert found.left_out == 2


def test_a_remote_folder_likewise(store: str, tree: Path) -> None:
    found = list_inputs(store, without="/out")
    assert [name for _, name in found.pairs] == [
        name for _, name in list_inputs(str(tree), without="/out").pairs
    ]
    assert found.pairs[2] == ("memory:///in/sub/a.png", "sub/a.png")
    assert found.left_out == 2


def test_outputs_inside_the_inputs_are_none(store: str, tree: Path) -> None:
    assert "sub/a.png" not in [name for _, name in list_inputs(store, without="memory://in/sub").pairs]
    assert "sub/a.png" not in [name for _, name in list_inputs(str(tree), without=str(tree / "sub")).pairs]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.png", ["a.png"]),
        ("sub/*.png", ["a.png"]),
        ("**/*.tif", ["sub/deep/c.tif"]),
        ("s*b/deep/*", ["sub/deep/c.tif"]),
    ],
)
def test_patterns(store: str, tree: Path, pattern: str, names: list[str]) -> None:
    assert [name for _, name in list_inputs(f"{tree}/{pattern}", without="/out").pairs] == names
    assert [name for _, name in list_inputs(f"{store}/{pattern}", without="/out").pairs] == names


def test_one_picture(store: str, tree: Path) -> None:
    assert list_inputs(f"{tree}/a.png", without="/out").pairs == [(f"{tree}/a.png", "a.png")]
    assert list_inputs(f"{store}/a.png", without="/out").pairs == [("memory://in/a.png", "a.png")]


def test_a_file_url_is_a_path(tree: Path) -> None:
    assert list_inputs(f"file://{tree}", without="/out").pairs == list_inputs(str(tree), without="/out").pairs


def manifest(place: Path, /, **columns: list[str | None]) -> str:
    pq.write_table(pa.table(columns), place)
    return str(place)


def test_a_manifest(tmp_path: Path) -> None:
    source = manifest(
        tmp_path / "m.parquet",
        input=["s3://b/x/a.png", "/data/b.png", "c.png", None],
        size=["1", "2", "3", "4"],
    )
    found = list_inputs(source, without="/out")
    assert found.pairs == [
        ("s3://b/x/a.png", "b/x/a.png"),
        ("/data/b.png", "data/b.png"),
        (f"{tmp_path}/c.png", "c.png"),
    ]
    assert found.failures == [(f"{source}: row 4", "has no input")]


def test_a_manifest_that_names_outputs(tmp_path: Path) -> None:
    names = ["x/1.jpg", None, "../x.png", "/etc/x.png", "x.gif"]
    source = manifest(
        tmp_path / "m.parquet", input=[f"s3://b/{number}.png" for number in range(5)], output=names
    )
    found = list_inputs(source, without="/out")
    assert found.pairs == [("s3://b/0.png", "x/1.jpg"), ("s3://b/1.png", "b/1.png")]
    assert [re.findall(r"output (\S+) is not", why) for _, why in found.failures] == [
        ["../x.png"],
        ["/etc/x.png"],
        ["x.gif"],
    ]


@pytest.mark.parametrize("form", [pa.dictionary(pa.int32(), pa.string()), pa.string_view()], ids=str)
def test_strings_in_other_forms(tmp_path: Path, form: pa.DataType) -> None:
    names = pa.array(["a.png", "b.png"], form)
    pq.write_table(pa.table({"input": names, "output": pa.nulls(2)}), tmp_path / "m.parquet")
    assert [name for _, name in list_inputs(str(tmp_path / "m.parquet"), without="/out").pairs] == [
        "a.png",
        "b.png",
    ]


def test_an_input_with_two_outputs_is_refused(tmp_path: Path) -> None:
    source = manifest(
        tmp_path / "m.parquet", input=["/a.png", "/b.png", "/a.png"], output=["x.png", "y.png", "z.png"]
    )
    with pytest.raises(OptionError, match="row 3: /a.png already has the output x.png"):
        list_inputs(source, without="/out")


def test_a_list_from_windows(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("a.png\r\nb.png\r\n".encode("utf-8-sig"))
    assert [name for _, name in list_inputs(str(tmp_path / "list.txt"), without="/out").pairs] == [
        "a.png",
        "b.png",
    ]


def test_a_folder_called_as_a_manifest_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").mkdir()
    (tmp_path / "x.parquet/a.png").touch()
    assert [name for _, name in list_inputs(str(tmp_path / "x.parquet"), without="/out").pairs] == ["a.png"]


def test_a_list(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("s3://b/ä b.png\n\nc.png\n")
    assert list_inputs(str(tmp_path / "list.txt"), without="/out").pairs == [
        ("s3://b/ä b.png", "b/ä b.png"),
        (f"{tmp_path}/c.png", "c.png"),
    ]


def test_a_remote_manifest(tmp_path: Path, store: str) -> None:
    write_bytes(
        f"{store}/m.parquet", Path(manifest(tmp_path / "m.parquet", input=["sub/a.png"])).read_bytes()
    )
    assert list_inputs(f"{store}/m.parquet", without="/out").pairs == [("memory://in/sub/a.png", "sub/a.png")]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("m.parquet", b"no parquet", "cannot be read as Parquet"),
        ("m.txt", b"\xff\xfe", "is not UTF-8 text"),
        ("m.csv", b"a", "expected a folder, a pattern"),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(OptionError, match=said):
        list_inputs(str(tmp_path / name), without="/out")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"path": ["a"]}, "has no column 'input'; its columns are path"),
        ({"input": [1]}, "has type int64; expected strings"),
    ],
)
def test_a_manifest_of_other_columns(tmp_path: Path, columns: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        list_inputs(manifest(tmp_path / "m.parquet", **columns), without="/out")


@pytest.mark.parametrize("source", ["{tmp}/none", "{tmp}", "memory://none", "{tmp}/*.png"])
def test_no_picture(tmp_path: Path, source: str) -> None:
    with pytest.raises((PictureError, FileNotFoundError)):
        list_inputs(source.format(tmp=tmp_path), without="/out")


def test_a_pattern_of_manifests_is_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="a pattern cannot name .parquet or .txt files"):
        list_inputs(f"{tmp_path}/*.parquet", without="/out")


def test_no_such_manifest(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such file"):
        list_inputs(str(tmp_path / "none.parquet"), without="/out")


def test_heic_and_raw_get_names_that_can_be_written(
    tree: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "p.HEIC").touch()
    (tree / "sub/q.nef").touch()
    write_bytes(f"{store}/p.HEIC", b"")
    write_bytes(f"{store}/sub/q.nef", b"")
    write_bytes(f"{store}/list.txt", b"p.HEIC\nsub/q.nef\n")
    monkeypatch.setattr(extras, "_is_installed", lambda _: True)
    for source in (str(tree), store):
        names = [name for _, name in list_inputs(source, without="/out").pairs]
        assert {"p.jpg", "sub/q.tif"} < set(names)
    assert [name for _, name in list_inputs(f"{store}/list.txt", without="/out").pairs] == [
        "p.jpg",
        "sub/q.tif",
    ]
    assert list_inputs(str(tree / "p.HEIC"), without="/out").pairs[0][1] == "p.jpg"
    monkeypatch.setattr(extras, "_is_installed", lambda _: False)
    for source in (str(tree), store):
        found = list_inputs(source, without="/out")
        assert len(found.pairs) == 4
        assert sorted(path.name for path in found.unread) == ["p.HEIC", "q.nef"]


def test_a_batch_takes_no_zarr(tree: Path) -> None:
    (tree / "z.zarr").mkdir()
    found = list_inputs(str(tree), without="")
    assert found.failures == [
        (str(tree / "z.zarr"), "is a Zarr, which a batch does not restore; use `uformer restore`")
    ]
    with pytest.raises(PictureError, match="z.zarr: is a Zarr, which a batch does not restore"):
        list_inputs(str(tree / "z.zarr"), without="")
