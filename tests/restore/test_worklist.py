"""The output of each input: no two share one, none replaces an input, all are inside the output folder."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uformer.errors import OptionError, PictureError
from uformer.restore import worklist as module
from uformer.restore.worklist import WorkList, check_picture_output, is_one_picture, list_work, one_job


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    touch(
        *(
            tmp_path / name
            for name in ("in/a.png", "in/a.jpg", "in/sub/b.tif", "in/sub/a.png", "in/notes.txt")
        )
    )
    return tmp_path


def make(*arguments: str, output: str | None = None, overwrite: bool = False) -> WorkList:
    return list_work(arguments, output, overwrite=overwrite)


def pairs(plan: WorkList) -> dict[str, str]:
    return {job.source.as_posix(): job.output.as_posix() for job in plan.jobs}


MIRRORED = {
    "in/a.jpg": "in.restored/a.jpg",
    "in/a.png": "in.restored/a.png",
    "in/sub/a.png": "in.restored/sub/a.png",
    "in/sub/b.tif": "in.restored/sub/b.tif",
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["in", "in/", "./in", "in/."])
def test_a_folder_is_mirrored_beside_it(name: str) -> None:
    result = make(name)
    assert pairs(result) == MIRRORED
    assert result.home == Path("in.restored")


@pytest.mark.usefixtures("here")
def test_a_folder_is_mirrored_where_it_is_told() -> None:
    assert pairs(make("in", output="new/out")) == {
        source: output.replace("in.restored", "new/out") for source, output in MIRRORED.items()
    }


def test_the_present_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here / "in" / "sub")
    for name, home in ((".", here / "in" / "sub.restored"), ("..", here / "in.restored")):
        assert make(name).home == home
    with pytest.raises(OptionError, match="name a folder with -o"):
        make("/")


@pytest.mark.usefixtures("here")
def test_patterns_and_several() -> None:
    assert pairs(make("in/*.png")) == {"in/a.png": "in/a.restored.png"}
    assert pairs(make("in/**/*.png", output="out")) == {
        "in/a.png": "out/a.png",
        "in/sub/a.png": "out/sub/a.png",
    }
    assert pairs(make("in/a.png", "in/sub", output="out")) == {
        "in/a.png": "out/a.png", "in/sub/a.png": "out/sub/a.png", "in/sub/b.tif": "out/sub/b.tif",
    }  # fmt: skip
    assert pairs(make("in/a.png", "in/sub")) == {
        "in/a.png": "in/a.restored.png",
        "in/sub/a.png": "in/sub.restored/a.png",
        "in/sub/b.tif": "in/sub.restored/b.tif",
    }


def test_a_pattern_of_folders_names_what_is_in_them(here: Path) -> None:
    touch(here / "trips/2023/x.png", here / "trips/2024/y/z.png")
    assert pairs(make("trips/20*", output="out")) == {
        "trips/2023/x.png": "out/2023/x.png",
        "trips/2024/y/z.png": "out/2024/y/z.png",
    }
    assert pairs(make("trips/20*"))["trips/2024/y/z.png"] == "trips/2024.restored/y/z.png"


@pytest.mark.usefixtures("here")
def test_an_input_given_twice_is_done_once() -> None:
    result = make("in", "in/a.png", "./in/sub/../a.png", "in/*.png", output="out")
    assert pairs(result) == {
        source: output.replace("in.restored", "out/in") for source, output in MIRRORED.items()
    }
    assert not result.failures


@pytest.mark.usefixtures("here")
def test_a_second_picture_of_the_same_name_is_a_failure_and_the_others_go_on() -> None:
    result = make("in/a.png", "in/sub/a.png", "in/a.jpg", output="out")
    assert pairs(result) == {"in/a.png": "out/a.png", "in/a.jpg": "out/a.jpg"}
    assert result.failures == [
        (Path("in/sub/a.png"), "its output out/a.png is already the output of in/a.png")
    ]


@pytest.mark.parametrize(("ignores", "failures"), [(True, 2), (False, 0)])
def test_names_that_the_file_system_takes_for_one(
    here: Path, monkeypatch: pytest.MonkeyPatch, *, ignores: bool, failures: int
) -> None:
    touch(here / "in2/B.png", here / "in2/b.png", here / "in2" / unicodedata.normalize("NFC", "é.png"))
    touch(here / "in2" / unicodedata.normalize("NFD", "é.png"))
    monkeypatch.setattr(module, "ignores_case", lambda _: ignores)
    result = make("in2")
    assert (len(result.jobs), len(result.failures)) == (4 - failures, failures)


def test_whether_a_file_systemignores_case_is_tried(here: Path) -> None:
    touch(here / "Case")
    assert module.ignores_case(here / "missing" / "folder") == (here / "CASE").exists()
    assert not [path for path in here.iterdir() if path.name.startswith(".uformer")]


def test_done_pictures_are_skipped_unless_told(here: Path) -> None:
    touch(here / "in.restored/a.png")
    result = make("in")
    assert [job.source.as_posix() for job in result.done] == ["in/a.png"]
    assert "in/a.png" not in pairs(result)
    assert pairs(make("in", overwrite=True)) == MIRRORED


def test_outputs_of_earlier_runs_are_not_restored(here: Path) -> None:
    touch(
        here / "in/a.restored.png",
        here / "in.restored/a.png",
        here / "in/sub.restored/a.png",
        here / "in/out/a.png",
    )
    assert set(pairs(make("in", output="in/out"))) == set(MIRRORED) - {"in/a.png"}  # its output exists
    result = make("in", "in.restored", "in/a.png", "in/a.restored.png", output="out")
    assert set(pairs(result)) == set(MIRRORED) | {"in/out/a.png"}
    assert {path.as_posix() for path in result.left_out} == {
        "in.restored",
        "in/a.restored.png",
        "in/sub.restored",
    }
    assert pairs(make("in/a.restored.png", "in/a.jpg"))["in/a.restored.png"] == "in/a.restored.restored.png"


def test_only_outputs_of_earlier_runs(here: Path) -> None:
    touch(here / "only/a.restored.png", here / "only/a.png")
    with pytest.raises(PictureError, match="no images found except outputs of earlier runs"):
        make("only/*.restored.png")


def test_no_output_takes_the_place_of_an_input(here: Path) -> None:
    touch(here / "out/in/in/a.png", here / "out/in/a.png")
    before = {"out/in/a.png": "out/a.png"}
    for overwrite in (False, True):
        result = make("out/in", output="out", overwrite=overwrite)
        assert pairs(result) == before
        assert result.failures == [
            (
                Path("out/in/in/a.png"),
                "its output out/in/a.png would replace an input",
            )
        ]


def test_an_output_that_leads_to_an_input_is_a_failure(here: Path) -> None:
    (here / "out").mkdir()
    (here / "out/a.png").symlink_to("../in/a.png")
    (here / "out/sub").symlink_to("../in/sub", target_is_directory=True)
    os.link(here / "in/a.jpg", here / "out/a.jpg")
    result = make("in", output="out", overwrite=True)
    assert not result.jobs
    assert len(result.failures) == 4


def test_two_outputs_that_are_one_by_links(here: Path) -> None:
    touch(here / "elsewhere.png")
    (here / "out").mkdir()
    (here / "out/a.png").symlink_to("../elsewhere.png")
    (here / "out/a.jpg").symlink_to("../elsewhere.png")
    result = make("in/a.png", "in/a.jpg", output="out", overwrite=True)
    assert (len(result.jobs), len(result.failures)) == (1, 1)


BAD_FOLDERS = [
    (["in"], "in", "the outputs would replace the inputs"),
    (["in"], "./in/", "the outputs would replace the inputs"),
    (["in/*", "in"], "in", "the outputs would replace the inputs"),
    (["in"], "in/a.png", "is a file"),
    (["in"], "in/notes.txt", "is a file"),
    (["in/a.png", "in/a.jpg"], "new.png", "is the name of an image file"),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("arguments", "output", "message"), BAD_FOLDERS)
def test_folders_that_outputs_cannot_go_to(arguments: list[str], output: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(*arguments, output=output)


def test_a_file_in_the_place_of_the_default_folder(here: Path) -> None:
    touch(here / "in.restored")
    with pytest.raises(OptionError, match="in.restored: is a file"):
        make("in")


def test_what_is_there_but_no_file_is_a_failure(here: Path) -> None:
    (here / "in.restored/a.png").mkdir(parents=True)
    touch(here / "in.restored/sub")
    result = make("in")
    assert set(pairs(result)) == {"in/a.jpg"}
    assert dict(result.failures) == {
        Path("in/a.png"): "in.restored/a.png: exists and is not a regular file",
        Path("in/sub/a.png"): "in.restored/sub/a.png: Not a directory",
        Path("in/sub/b.tif"): "in.restored/sub/b.tif: Not a directory",
    }


def test_nothing_found(here: Path) -> None:
    (here / "empty").mkdir()
    for argument in ("empty", "empty/*.png"):
        with pytest.raises(PictureError, match="no images found"):
            make(argument)
    result = make("missing.png", "in/notes.txt", "x*.png", "in/a.png")
    assert list(pairs(result)) == ["in/a.png"]
    assert [path.name for path, _ in result.failures] == ["missing.png", "notes.txt", "x*.png"]
    assert result.count == 4


def test_a_name_too_long_for_its_output(here: Path) -> None:
    touch(here / "long" / ("x" * 251 + ".png"), here / "long" / ("ä" * 125 + ".png"))
    assert len(make("long").jobs) == 2
    result = make("long/*")
    assert [why.rpartition(": ")[2] for _, why in result.failures] == ["File name too long"] * 2
    with pytest.raises(OptionError, match="File name too long; give another name"):
        one_job("long/" + "x" * 251 + ".png", None, overwrite=False)


def test_one_picture(here: Path) -> None:
    assert one_job("in/a.png", None, overwrite=False).output == Path("in/a.restored.png")
    assert one_job("in/a.png", "in/sub", overwrite=True).output == Path("in/sub/a.png")
    assert one_job("in/a.png", "b.jpg", overwrite=False).output == Path("b.jpg")
    with pytest.raises(OptionError, match="there is no folder out; create it first"):
        one_job("in/a.png", "out/", overwrite=False)
    with pytest.raises(OptionError, match="would replace the input"):
        one_job("in/a.png", "in", overwrite=True)
    touch(here / "in/a.restored.png")
    with pytest.raises(OptionError, match="exists; add --overwrite"):
        one_job("in/a.png", None, overwrite=False)
    (here / "folder.png").mkdir()
    with pytest.raises(OptionError, match="exists and is not a regular file"):
        check_picture_output(Path("folder.png"), None, overwrite=True)


@pytest.mark.usefixtures("here")
def test_one_picture_that_is_none() -> None:
    with pytest.raises(PictureError, match="^in/nothing: No such file or directory$"):
        one_job("in/nothing", None, overwrite=False)
    with pytest.raises(
        OptionError, match=r"in/notes.txt: the suffix '.txt' is not one of .png, .*; name the output with -o"
    ):
        one_job("in/notes.txt", None, overwrite=False)


def test_an_image_of_another_format_is_named(here: Path) -> None:
    (here / "a.bmp").write_bytes(b"BM" + bytes(30))
    (here / "a.jfif").write_bytes(b"\xff\xd8\xff" + bytes(30))  # restored if its output is named
    with pytest.raises(
        PictureError, match="^a.bmp: is a BMP image, not a PNG, .*; convert it to one of these"
    ):
        one_job("a.bmp", None, overwrite=False)
    with pytest.raises(OptionError, match=r"a.jfif: the suffix '.jfif' is not one of .*; name the output"):
        one_job("a.jfif", None, overwrite=False)
    failures = dict(make("a.bmp", "a.jfif").failures)
    assert failures[Path("a.bmp")].startswith("is a BMP image")
    assert failures[Path("a.jfif")].startswith("the suffix '.jfif' is not one of")


def test_a_closed_folder_is_known_before_any_work(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(here / "out/sub/b.tif")
    said = {Path("out/sub"): "Permission denied"}  # root may write anywhere
    monkeypatch.setattr(module, "why_closed", said.get)
    result = make("in", output="out")
    assert set(pairs(result)) == {"in/a.jpg", "in/a.png"}
    assert [job.source for job in result.done] == [Path("in/sub/b.tif")]
    assert result.failures == [(Path("in/sub/a.png"), "out/sub/a.png: Permission denied")]


@pytest.mark.usefixtures("here")
def test_what_is_one_picture() -> None:
    assert is_one_picture(["in/a.png"])
    assert is_one_picture(["missing.png"])
    for several in (["in"], ["in/*.png"], ["in/a.png", "in/a.jpg"], []):
        assert not is_one_picture(several)


NAMES = st.sampled_from(["a", "A", "b", "a.restored", "in", "in.restored", "é", "é", "x y", "[a]", "a*"])
FILES = st.lists(
    st.tuples(
        st.lists(NAMES, max_size=3).map(tuple), NAMES, st.sampled_from([".png", ".PNG", ".jpg", ".txt"])
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


@settings(max_examples=60)
@given(
    files=FILES,
    arguments=st.lists(
        st.sampled_from(["in", "in/*", "in/**", "in/a", "in/a.png", "in/in"]), min_size=1, max_size=3
    ),
    output=st.sampled_from([None, "out", "in/out", "in/a", "in/in", "."]),
    overwrite=st.booleans(),
)
def test_no_two_inputs_share_an_output_and_no_input_is_lost(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[tuple[str, ...], str, str]],
    arguments: list[str],
    output: str | None,
    *,
    overwrite: bool,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    before = Path.cwd()
    os.chdir(root)
    try:
        for folders, stem, suffix in files:
            path = root.joinpath("in", *folders, stem + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        try:
            result = make(*arguments, output=output, overwrite=overwrite)
        except (OptionError, PictureError):
            return
        jobs = result.jobs + result.done
        outputs = [os.path.realpath(job.output) for job in jobs]
        sources = {os.path.realpath(job.source) for job in jobs}
        assert len(set(outputs)) == len(outputs)
        assert not set(outputs) & sources
        if output is not None:
            assert all(Path(place).is_relative_to(os.path.realpath(output)) for place in outputs)
        assert all(job.output.suffix == job.source.suffix for job in jobs)
    finally:
        os.chdir(before)


def test_a_zarr_is_one_image_and_only_a_zarr_gives_way_to_it(tmp_path: Path) -> None:
    for name in ("a.zarr", "out.zarr"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".zgroup").touch()
    (tmp_path / "mine.zarr").mkdir()
    source = str(tmp_path / "a.zarr")
    assert is_one_picture([source])
    assert one_job(source, None, overwrite=False).output == tmp_path / "a.restored.zarr"
    with pytest.raises(OptionError, match="out.zarr exists; add --overwrite"):
        one_job(source, str(tmp_path / "out.zarr"), overwrite=False)
    assert one_job(source, str(tmp_path / "out.zarr"), overwrite=True).output == tmp_path / "out.zarr"
    with pytest.raises(OptionError, match="mine.zarr: exists and is not a regular file"):
        one_job(source, str(tmp_path / "mine.zarr"), overwrite=True)
    (job,) = list_work([str(tmp_path / "*.zarr")], None, overwrite=False).jobs[:1]
    assert (job.source.name, job.output.name) == ("a.zarr", "a.restored.zarr")
