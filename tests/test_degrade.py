"""`uformer degrade` from the command line: seeds, typed parameters, folders; each refusal is one line."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from tests.data.pictures import lock, photo, save
from tests.image.cameras import dng, heic, needs_heic, needs_raw, ramp
from tests.image.zarrs import save_ome
from uformer.cli import main
from uformer.degrade import FUNCTIONS, describe
from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.png"
    write(Image(pixels=np.full((64, 80, 3), 0.5, np.float32)), path)
    return path


def call(*arguments: object) -> int:
    return main(["degrade", *map(str, arguments)])


def test_gaussian_noise_of_the_sigma_given(clean: Path, tmp_path: Path) -> None:
    assert call(clean, tmp_path / "noisy.png", "--function", "gaussian_noise", "--set", "sigma=25") == 0
    noise = read(tmp_path / "noisy.png").pixels - read(clean).pixels
    assert noise.std() * 255 == pytest.approx(25, rel=0.03)


TASKS = [["--task", task] for task in ("denoise", "derain", "deblur")]
FUNCTION = ["--function", "gaussian_noise", "--set", "sigma=25"]


@pytest.mark.parametrize("what", [*TASKS, FUNCTION], ids=lambda what: what[1])
def test_a_seed_gives_one_picture_and_another_another(what: list[str], tmp_path: Path) -> None:
    clean = save(tmp_path / "clean.png", photo(64, 80))
    for name, seed in [("a", 11), ("b", 11), ("c", 12)]:
        assert call(clean, tmp_path / f"{name}.png", *what, "--seed", seed) == 0
    once, again, other = (read(tmp_path / f"{name}.png").pixels for name in "abc")
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_a_folder_depends_on_the_seed_too(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.png", photo(64, 80))
    for name, seed in [("a", 11), ("b", 11), ("c", 12)]:
        assert call(tmp_path / "in", tmp_path / name, *FUNCTION, "--seed", seed) == 0
    once, again, other = ((tmp_path / name / "a.png").read_bytes() for name in "abc")
    assert once == again != other


def test_none_is_a_value_where_it_is_the_default(clean: Path, tmp_path: Path) -> None:
    for name, settings in (
        ("default", []),
        ("null", ["--set", "response=null"]),
        ("none", ["--set", "response=none"]),
    ):
        assert (
            call(
                clean,
                tmp_path / f"{name}.png",
                "--function",
                "camera_noise",
                "--set",
                "shot=0.1",
                "--set",
                "read=0",
                *settings,
            )
            == 0
        )
    assert len({(tmp_path / f"{name}.png").read_bytes() for name in ("default", "null", "none")}) == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_listed_with_its_default_and_described(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = describe(FUNCTIONS[name])
    assert call("--list") == 0
    assert said in capsys.readouterr().out
    assert said.startswith(f"{name}\n  ")
    assert "`" not in said
    words = said.replace("\n", " ").split()
    for parameter in inspect.signature(FUNCTIONS[name]).parameters.values():
        if parameter.kind == parameter.KEYWORD_ONLY:
            default = (
                "..."
                if parameter.default is parameter.empty
                else {"None": "none", "True": "true"}.get(str(parameter.default))
            )
            default = default or str(parameter.default)
            assert any(word.rstrip(",:") == f"{parameter.name}={default}" for word in words)
            assert f"`{parameter.name}`" in (FUNCTIONS[name].__doc__ or "")


def test_ranges_are_listed() -> None:
    assert "depth=3.0: distance of the farthest streaks" in describe(FUNCTIONS["rain"])
    assert "1 to 100." in describe(FUNCTIONS["rain"])
    assert "shot=..., read=...: light per photon" in describe(FUNCTIONS["poisson_gaussian_noise"])


def test_folders_are_walked_as_restore_walks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "in/a.png",
        "in/a.restored.png",
        "in/.thumbnails/t.png",
        "in/locked/l.png",
        "elsewhere/b.png",
    ):
        save(tmp_path / name, photo(16, 16))
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    lock(monkeypatch, "locked")
    assert call(tmp_path / "in", tmp_path / "out", *FUNCTION) == 1
    out, err = capsys.readouterr()
    assert out == f"{tmp_path}/out: 2 of 2 images, 1 left out as outputs of earlier runs\n"
    assert err == f"uformer: error: {tmp_path}/in/locked: Permission denied\n"
    assert sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")
    ) == ["a.png", "link/b.png"]
    assert call(tmp_path / "in" / "locked", tmp_path / "none", *FUNCTION) == 1
    assert capsys.readouterr().err == f"uformer: error: {tmp_path}/in/locked: Permission denied\n"
    assert not (tmp_path / "none").exists()


def test_a_folder_again_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png", photo(16, 16))
    assert call(tmp_path / "in", tmp_path / "out", *FUNCTION) == 0
    first = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out" / "b.png").unlink()
    capsys.readouterr()
    assert call(tmp_path / "in", tmp_path / "out", *FUNCTION) == 0
    assert (
        capsys.readouterr().out
        == f"{tmp_path}/out: 1 of 2 images, 1 already existed (--overwrite replaces them)\n"
    )
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


@pytest.mark.parametrize("output", ["out", "out.png"])
def test_a_picture_that_is_not_there_is_what_is_wrong(
    tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path / "none.png", tmp_path / output, *FUNCTION) == 1
    assert capsys.readouterr().err == f"uformer: error: {tmp_path}/none.png: No such file or directory\n"


def test_the_output_may_be_an_option_as_restores(clean: Path, tmp_path: Path) -> None:
    assert call(clean, "-o", tmp_path / "out.png", *FUNCTION) == 0
    assert (tmp_path / "out.png").exists()


def test_a_picture_into_a_folder(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert call(clean, tmp_path / "out", *FUNCTION) == 0
    assert (tmp_path / "out" / "clean.png").exists()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_can_be_called(function: str, clean: Path, tmp_path: Path) -> None:
    needed = {
        "gaussian_noise": ["sigma=9.5"],
        "poisson_gaussian_noise": ["shot=1e-3", "read=0"],
        "camera_noise": ["shot=0.01", "read=1e-3", "bayer=false", "response=7"],
        "hot_pixels": ["share=0.01"],
        "shake": ["length=9", "roll=1"],
        "defocus": ["radius=2", "blades=6"],
        "rain": ["blend=screen", "strength=0.8"],
    }
    settings = [word for setting in needed.get(function, []) for word in ("--set", setting)]
    assert call(clean, tmp_path / "out.png", "--function", function, *settings) == 0
    assert read(tmp_path / "out.png").pixels.shape == (64, 80, 3)


def test_gray_stays_gray_and_alpha_stays(tmp_path: Path) -> None:
    alpha = np.arange(64, dtype=np.uint8).reshape(8, 8)
    write(Image(pixels=np.full((8, 8, 1), 0.5, np.float32), alpha=alpha), tmp_path / "gray.png")
    assert (
        call(tmp_path / "gray.png", tmp_path / "out.png", "--function", "gaussian_noise", "--set", "sigma=25")
        == 0
    )
    out = read(tmp_path / "out.png")
    assert out.channels == 1
    assert out.pixels.std() > 0.05
    np.testing.assert_array_equal(out.alpha, alpha)


def test_a_folder_is_mirrored_and_each_name_has_its_own_draw(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        (folder / name).write_bytes(clean.read_bytes())
    (folder / "broken.png").write_bytes(b"nothing")
    for name in ("notes.txt", "._a.png"):
        (folder / name).write_text("kept out")
    assert call(folder, out, "--function", "gaussian_noise", "--set", "sigma=25") == 1
    errors = capsys.readouterr()
    assert "broken.png" in errors.err
    assert "2 of 3" in errors.out
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == ["a.png", "sub/b.png"]
    first, second = (read(out / name).pixels for name in ("a.png", "sub/b.png"))
    assert (first != second).any()
    before = (out / "a.png").read_bytes()
    assert call(folder, out, "--function", "gaussian_noise", "--set", "sigma=1") == 1  # existing files stay
    assert (out / "a.png").read_bytes() == before
    (folder / "broken.png").unlink()
    assert call(folder, out, "--function", "gaussian_noise", "--set", "sigma=25", "--overwrite") == 0
    assert (out / "a.png").read_bytes() == before  # the same seed gives the same bytes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give one of --task denoise|derain|deblur, --function"),
        (["--task", "derain", "--function", "rain"], "give one of --task"),
        (["--task", "sharpen"], "sharpen"),
        (["--task", "derain", "--set", "density=1"], "--set belongs to --function"),
        (["--function", "snow"], "snow: must be one of"),
        (["--function", "gaussian_noise"], "needs --set sigma="),
        (["--function", "gaussian_noise", "--set", "sigma=much"], "--set sigma: 'much' is not a number"),
        (["--function", "gaussian_noise", "--set", "sigma=nan"], "'nan' is not a number"),
        (["--function", "gaussian_noise", "--set", "sigma=-1"], "must be between 0 and 1000"),
        (["--function", "gaussian_noise", "--set", "sgima=1"], "gaussian_noise has the parameters sigma"),
        (
            ["--function", "camera_noise", "--set", "shot=0.1", "--set", "read=0", "--set", "bayer=1"],
            "bayer: '1' is not true or false",
        ),
        (
            ["--function", "camera_noise", "--set", "shot=0.1", "--set", "read=0", "--set", "response=999"],
            "between 0 and 200",
        ),
        (["--function", "rain", "--set", "blend=burn"], "blend: 'burn' is not one of add, screen"),
        (
            ["--function", "camera_noise", "--set", "response=x"],
            "response: 'x' is not a whole number or none",
        ),
        (["--function", "gaussian_noise", "--set", "sigma=none"], "sigma: 'none' is not a number"),
        (["--task", "derain", "--seed", "-1"], "must not be negative"),
        (["--task", "derain", "--seed", "1.5"], "--seed: '1.5' is not a whole number"),
        (["--function", "shake", "--set", "length=1e5"], "shake: length 100000 must be between 0 and 1000"),
        (["--function", "defocus", "--set", "radius=1e6"], "defocus: radius"),
        (["--function", "rain", "--set", "density=1e6"], "rain: density"),
        (["--function", "levin", "--set", "scale=1e9"], "levin: scale"),
        (["--function", "camera_noise", "--set", "shot=1e300", "--set", "read=1e300"], "camera_noise: shot"),
    ],
)
def test_refusals(
    arguments: list[str], words: str, clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(clean, tmp_path / "out.png", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_files_that_cannot_be(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = clean.read_bytes()
    assert call(clean, clean, "--task", "derain", "--overwrite") == 2
    assert call(clean, tmp_path / "out.xyz", "--task", "derain") == 2
    assert call(clean, tmp_path / "newfolder", "--task", "derain") == 2
    assert call(clean, "--task", "derain") == 2
    assert call(clean, tmp_path / "none" / "out.png", "--task", "derain") == 2
    assert call(tmp_path / "none.png", tmp_path / "out.png", "--task", "derain") == 1
    (tmp_path / "empty").mkdir()
    folder = tmp_path / "two"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.png").write_bytes(before)
    assert call(folder, clean, "--task", "derain") == 2
    assert call(folder, clean / "x", "--task", "derain") == 2
    assert call(folder, tmp_path / "new", "--function", "gaussian_noise", "--set", "sigma=-1") == 2
    assert not (tmp_path / "new").exists()
    assert call(tmp_path / "empty", tmp_path / "out", "--task", "derain") == 1
    assert call(tmp_path, tmp_path / "inside", "--task", "derain") == 2
    err = capsys.readouterr().err
    assert err.count("uformer: error: ") == err.count("\n") == 11
    assert f"newfolder: expected a file name with a suffix, such as {tmp_path / 'newfolder'}.png" in err
    assert "no output given" in err
    assert f"uformer: error: {clean}/x: cannot be written: Not a directory" in err
    assert clean.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "deviation"), [([], 25 / 255 * 300), (["--range", "full"], 25 / 255 * 65535)]
)
def test_noise_is_a_share_of_the_range_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], deviation: float
) -> None:
    counts = np.linspace(30000, 30300, 80 * 64).reshape(64, 80).astype(np.uint16)
    save(tmp_path / "dim.png", counts)
    assert call(tmp_path / "dim.png", tmp_path / "out.png", *FUNCTION, *arguments) == 0
    noise = np.rint(read(tmp_path / "out.png").pixels[..., 0] * 65535) - counts
    assert noise[20:-20].std() == pytest.approx(deviation, rel=0.1)
    assert ("dim.png: range 30000 to 30300" in capsys.readouterr().err) == (not arguments)


def test_a_range_that_cannot_be_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path / "a.png", tmp_path / "b.png", *FUNCTION, "--range", "5") == 2
    assert "range: '5' must be auto, full or LOW:HIGH" in capsys.readouterr().err


def test_heic_and_raw_are_read_and_what_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_heic()
    needs_raw()
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.heic").write_bytes(heic(np.full((16, 24, 3), 99, np.uint8), "RGB"))
    (folder / "b.dng").write_bytes(dng(ramp(32, 32)))
    save(folder / "c.jpg", photo(16, 16))
    (folder / "c.heic").write_bytes((folder / "a.heic").read_bytes())
    (folder / "d.bmp").write_bytes(b"BM")
    assert call(folder, out, *FUNCTION) == 1
    said = capsys.readouterr()
    assert "3 of 4 images" in said.out
    assert "c.jpg is already the output of" in said.err
    assert "uformer: left out: 1 .bmp" in said.err
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "b.tif", "c.jpg"]
    assert call(folder / "a.heic", out, *FUNCTION, "--overwrite") == 0
    assert capsys.readouterr().out == f"{out / 'a.jpg'}\n"


def test_noise_in_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = np.full((64, 80, 1), 1000 / 65535, np.float32)
    write(Image(pixels=pixels, depth=16, suffix=".tif"), tmp_path / "clean.tif")
    noise = "poisson:gain=4,read=10,offset=100"
    assert call(tmp_path / "clean.tif", tmp_path / "noisy.tif", "--noise", noise) == 0
    counts = read(tmp_path / "noisy.tif").pixels.astype(float) * 65535
    assert counts.mean() == pytest.approx(1000, abs=3)
    assert counts.var() == pytest.approx(4 * 900 + 100, rel=0.08)
    assert call(tmp_path / "clean.tif", tmp_path / "other.tif", "--noise", noise, "--task", "denoise") == 2
    assert call(tmp_path / "clean.tif", tmp_path / "other.tif", "--noise", "gauss") == 2
    capsys.readouterr()
    for words, said in (
        (["--set", "gain=2"], "--set belongs to --function; --noise contains its parameters"),
        (["--range", "100:400"], "--range 100:400: leave it out with --noise"),
    ):
        assert call(tmp_path / "clean.tif", tmp_path / "other.tif", "--noise", noise, *words) == 2
        assert said in capsys.readouterr().err
    # No range is reported, because the noise does not use one.
    assert call(tmp_path / "noisy.tif", tmp_path / "twice.tif", "--noise", noise) == 0
    assert capsys.readouterr().err == ""


def test_stacks_and_data_of_instruments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = np.random.default_rng(0).integers(-1000, 2000, (2, 64, 80)).astype(np.int16)
    tifffile.imwrite(tmp_path / "clean.tif", clean, photometric="minisblack")
    assert call(tmp_path / "clean.tif", tmp_path / "noisy.tif", *FUNCTION) == 0
    assert "range -1000.0 to 1999.0" in capsys.readouterr().err
    noisy = tifffile.imread(tmp_path / "noisy.tif")
    assert noisy.dtype == np.int16
    assert noisy.shape == clean.shape
    inside = (clean > 0) & (clean < 1000)  # noise is clipped at the limits of the range
    assert (noisy - clean.astype(float))[inside].std() == pytest.approx(25 / 255 * 2999, rel=0.05)
    flat = np.full((64, 80), 1000, np.uint32)
    tifffile.imwrite(tmp_path / "flat.tif", flat)
    assert call(tmp_path / "flat.tif", tmp_path / "counts.tif", "--noise", "poisson:gain=4,offset=100") == 0
    counts = tifffile.imread(tmp_path / "counts.tif")
    assert counts.dtype == np.uint32
    assert counts.mean() == pytest.approx(1000, abs=5)
    assert counts.astype(float).var() == pytest.approx(4 * 900, rel=0.08)
    large = np.full((64, 80), 2**30 + 1, np.uint32)  # float32 would round it and the noise to 64 counts
    tifffile.imwrite(tmp_path / "large.tif", large)
    noise = f"poisson:gain=4,read=3,offset={2**30}"
    assert call(tmp_path / "large.tif", tmp_path / "counts.tif", "--noise", noise, "--overwrite") == 0
    added = tifffile.imread(tmp_path / "counts.tif").astype(float) - 2**30
    assert added.mean() == pytest.approx(1, abs=0.2)
    assert added.var() == pytest.approx(4 + 9, rel=0.08)
    assert call(tmp_path / "flat.tif", tmp_path / "out.png", *FUNCTION) == 1
    assert "has uint32 samples, and is written as TIFF; name an output that e" in capsys.readouterr().err


def test_data_without_a_white_is_not_clipped_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in restoring: what lies outside the full range has no place there."""
    counts = np.random.default_rng(0).normal(-50, 10, (2, 64, 80)).astype(np.float32)
    tifffile.imwrite(tmp_path / "stack.tif", counts, photometric="minisblack")
    tifffile.imwrite(tmp_path / "image.tif", counts[0])
    for name in ("stack.tif", "image.tif"):
        assert call(tmp_path / name, tmp_path / "out.tif", *FUNCTION, "--range", "full") == 1
        said = capsys.readouterr().err
        assert f"{tmp_path / name}: the image has samples from -" in said
        assert "100% of them outside 0 to 1; use --range auto or LOW:HIGH" in said


def test_a_zarr_stays_a_zarr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    counts = np.random.default_rng(0).integers(1000, 1300, (2, 64, 80)).astype(np.uint16)
    save_ome(folder / "cells.ome.zarr", counts, "zyx", chunks=(1, 64, 64))
    zarr.open_group(folder / "cells.ome.zarr").create_group("labels")
    save(folder / "photo.png", photo(16, 16))
    noise = ["--noise", "poisson:gain=4,offset=100"]
    assert call(folder / "cells.ome.zarr", tmp_path / "noisy.zarr", *noise) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'noisy.zarr'}\n"
    assert "cells.ome.zarr: holds labels; left out" in said.err
    metadata = [
        zarr.open_group(path).attrs["ome"] for path in (folder / "cells.ome.zarr", tmp_path / "noisy.zarr")
    ]
    assert metadata[0] == metadata[1]
    noisy = zarr.open_array(tmp_path / "noisy.zarr/0")
    assert (noisy.dtype.name, noisy.chunks) == ("uint16", (1, 64, 64))
    added = np.asarray(noisy) - counts.astype(float)
    assert added.var() == pytest.approx(4 * 1050, rel=0.08)
    lower = np.asarray(zarr.open_array(tmp_path / "noisy.zarr/1"))
    assert lower.mean() == pytest.approx(np.asarray(noisy).mean(), abs=1), "made from the full size"
    assert call(folder / "cells.ome.zarr", tmp_path / "noisy.zarr", *noise) == 2
    assert "noisy.zarr exists; add --overwrite" in capsys.readouterr().err
    assert call(folder / "cells.ome.zarr", tmp_path / "noisy.zarr", *FUNCTION, "--overwrite") == 0
    assert "cells.ome.zarr: range 1000 to 1299" in capsys.readouterr().err
    assert call(folder / "cells.ome.zarr", tmp_path / "noisy.tif", *noise) == 1
    assert "is a Zarr, and is written as Zarr; name an output that ends in .zarr" in capsys.readouterr().err
    assert call(folder, tmp_path / "out", *noise) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cells.ome.zarr", "photo.png"]
    assert call(folder, tmp_path / "out", *noise) == 0
    assert "2 already existed" in capsys.readouterr().out
    assert call(folder / "cells.ome.zarr", tmp_path / "out2.png", *noise) == 1
    (tmp_path / "place").mkdir()
    assert call(folder / "cells.ome.zarr", tmp_path / "place", *noise) == 0
    assert (tmp_path / "place" / "cells.ome.zarr" / "0").is_dir()
