"""The images of each kind of protocol, and the errors if they are missing."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import pyvips
import tifffile

from tests.evaluate.conftest import save_pairs, save_picture, save_sidd
from tests.image.stacks import counts, save_imagej
from tests.image.zarrs import save_ome
from uformer.errors import OptionError, PictureError
from uformer.evaluate.cases import Case, check_files, find_cases, read_channels, read_gray, read_rgb
from uformer.evaluate.protocols import PROTOCOLS


def both(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the two images of a case."""
    pair = case.load()
    return pair.degraded, pair.clean


def test_gaussian_noise_depends_on_the_position_and_is_rounded(tmp_path: Path) -> None:
    levels = [save_picture(tmp_path / f"{name}.png", seed=seed) for seed, name in enumerate("ab")]
    samples = find_cases(PROTOCOLS["gaussian"], tmp_path)
    assert [(each.subset, each.name) for each in samples] == [
        (f"sigma {sigma}", name) for sigma in (15, 25, 50) for name in "ab"
    ]
    degraded, clean = both(samples[3])
    assert np.array_equal(np.rint(clean * 255), levels[1])
    noise = np.random.default_rng(1).standard_normal(clean.shape, dtype=np.float32) * np.float32(25 / 255)
    assert np.allclose(degraded, np.rint(np.clip(clean + noise, 0, 1) * 255) / 255, atol=1e-6)


def test_published_noise_is_neither_clipped_nor_rounded(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", level=0)
    degraded, clean = both(find_cases(PROTOCOLS["gaussian-float"], tmp_path)[1])
    assert degraded.min() < 0
    assert not np.allclose(degraded * 255, np.rint(degraded * 255), atol=1e-3)
    assert not clean.any()


def test_colour_images_are_converted_to_their_luma(tmp_path: Path) -> None:
    values = save_picture(tmp_path / "a.png", seed=3)
    degraded, clean = both(find_cases(PROTOCOLS["gaussian-gray"], tmp_path)[1])
    assert degraded.shape == clean.shape == (*values.shape[:2], 1)
    assert np.array_equal(
        np.rint(clean[..., 0] * 255),
        np.rint(values.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)),
    )
    assert np.std(degraded - clean) * 255 == pytest.approx(25, rel=0.05)
    assert np.allclose(clean, read_gray(tmp_path / "a.png"))


def test_two_folders_of_any_name(tmp_path: Path) -> None:
    save_pairs(tmp_path, {"x": (10, 20)}, names=("noisy", "truth"))
    (sample,) = find_cases(PROTOCOLS["pairs"], tmp_path / "noisy", tmp_path / "truth")
    degraded, clean = both(sample)
    assert np.allclose(degraded * 255, 10)
    assert np.allclose(clean * 255, 20)
    with pytest.raises(OptionError, match="gaussian takes one folder"):
        find_cases(PROTOCOLS["gaussian"], tmp_path / "noisy", tmp_path / "truth")


def test_sidds_blocks(tmp_path: Path) -> None:
    noisy = save_sidd(tmp_path / "ValidationNoisyBlocksSrgb.mat", seed=1)
    clean = save_sidd(tmp_path / "ValidationGtBlocksSrgb.mat", seed=2)
    samples = find_cases(PROTOCOLS["sidd"], tmp_path)
    assert [each.name for each in samples] == [
        "0001_01",
        "0001_02",
        "0001_03",
        "0002_01",
        "0002_02",
        "0002_03",
    ]
    found = both(samples[4])
    assert np.allclose(found[0] * 255, noisy[1, 1])
    assert np.allclose(found[1] * 255, clean[1, 1])
    save_sidd(tmp_path / "ValidationGtBlocksSrgb.mat", shape=(1, 3, 16, 20, 3))
    with pytest.raises(PictureError, match="differ in number or size"):
        find_cases(PROTOCOLS["sidd"], tmp_path)


def test_an_image_without_partner_and_one_of_another_size(tmp_path: Path) -> None:
    save_pairs(tmp_path, {"a": (1, 2)})
    save_picture(tmp_path / "degraded/b.png", size=(24, 30))
    save_picture(tmp_path / "degraded/c.png", size=(24, 30))
    save_picture(tmp_path / "clean/c.png", size=(24, 32))
    _, alone, other = find_cases(PROTOCOLS["pairs"], tmp_path)
    with pytest.raises(PictureError, match="b.png: no clean image of that name in .*clean"):
        alone.load()
    with pytest.raises(
        PictureError, match="c.png: is 30 x 24 pixels, but its clean image .*c.png is 32 x 24"
    ):
        other.load()


@pytest.mark.parametrize("name", [name for name, protocol in PROTOCOLS.items() if protocol.scored])
def test_a_folder_without_the_data_says_what_is_expected_and_where_it_is(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(OptionError) as caught:
            find_cases(PROTOCOLS[name], folder)
        assert PROTOCOLS[name].place in str(caught.value)
        assert PROTOCOLS[name].url in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    save_sidd(tmp_path / "ValidationNoisyBlocksSrgb.mat")
    with pytest.raises(OptionError, match=r": missing ValidationGtBlocksSrgb\.mat; expected .*https://"):
        find_cases(PROTOCOLS["sidd"], tmp_path)
    with pytest.raises(OptionError, match="missing a, b, c and 2 more"):
        check_files(tmp_path, "abcde", PROTOCOLS["sidd"])


def test_a_pair_of_unequal_channels(tmp_path: Path) -> None:
    for side, mode in (("degraded", "L"), ("clean", "RGB")):
        (tmp_path / side).mkdir()
        PIL.Image.new(mode, (5, 4)).save(tmp_path / side / "a.tif")
    (sample,) = find_cases(PROTOCOLS["pairs"], tmp_path)
    assert [image.shape for image in both(sample)] == [(4, 5, 3)] * 2
    with pytest.raises(PictureError, match="a.tif: has 1 channels, but its clean image .*a.tif has 3"):
        sample.load(5)


@pytest.mark.parametrize(("kind", "most"), [("uchar", 255), ("ushort", 65535)])
def test_all_channels_are_read_for_a_network_of_many(tmp_path: Path, kind: str, most: int) -> None:
    values = np.random.default_rng(0).integers(0, most + 1, (4, 6, 5)).astype(np.int32)
    pyvips.Image.new_from_array(values).cast(kind).copy(interpretation="multiband").tiffsave(
        str(tmp_path / "a.tif")
    )
    found, depth, image = read_channels(tmp_path / "a.tif", 5)
    assert (depth, image) == (8 if most == 255 else 16, None)
    assert found.dtype == np.float32
    assert np.allclose(found, values / most, atol=1e-6)
    with pytest.raises(PictureError, match="5 channels"):
        read_channels(tmp_path / "a.tif", 3)


def test_gray_is_repeated_three_times(tmp_path: Path) -> None:
    PIL.Image.new("L", (5, 4), 51).save(tmp_path / "a.png")
    assert np.allclose(read_rgb(tmp_path / "a.png"), np.full((4, 5, 3), 0.2))


def test_clean_images_are_those_of_the_folder_without_contact_sheets(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "mine.check.png", "inside/c.png"):
        save_picture(tmp_path / name)
    assert [sample.name for sample in find_cases(PROTOCOLS["gaussian"], tmp_path)] == ["a", "b"] * 3


def test_pairs_keep_the_values_depth_and_mode_of_their_files(tmp_path: Path) -> None:
    clean = np.linspace(100, 400, 400).reshape(20, 20).astype(np.uint16)
    for name, image in (("degraded", clean + 30), ("clean", clean)):
        (tmp_path / name).mkdir()
        PIL.Image.fromarray(image).save(tmp_path / name / "a.tif")
    (case,) = find_cases(PROTOCOLS["pairs"], tmp_path)
    pair = case.load()
    assert pair.degraded.shape == pair.clean.shape == (20, 20, 1)
    assert np.allclose(pair.clean[..., 0] * 65535, clean, atol=1e-2)
    assert np.allclose((pair.degraded - pair.clean) * 65535, 30, atol=1e-2)
    assert (pair.depth, case.suffix) == (16, ".tif")


def test_pairs_of_a_float_and_an_integer_file_need_the_same_units(tmp_path: Path) -> None:
    for name, values in (("degraded", np.full((4, 4), 300, np.float32)), ("clean", np.full((4, 4), 300))):
        (tmp_path / name).mkdir()
        kind = np.float32 if name == "degraded" else np.uint16
        PIL.Image.fromarray(values.astype(kind)).save(tmp_path / name / "a.tif")
    (case,) = find_cases(PROTOCOLS["pairs"], tmp_path)
    with pytest.raises(PictureError, match="one image of the pair has 8-bit or 16-bit unsigned samples"):
        case.load()


def test_floats_outside_are_refused_or_clipped_with_a_notice(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20)
    for top, name in ((1.02, "few"), (255, "all")):
        pyvips.Image.new_from_array(values * np.float32(top)).tiffsave(str(tmp_path / f"{name}.tif"))
    said: list[str] = []
    assert read_rgb(tmp_path / "few.tif", said.append).max() == 1
    assert [line.endswith("has samples outside 0 to 1; they are clipped") for line in said] == [True]
    with pytest.raises(PictureError, match="100% of its float samples lie outside 0 to 1"):
        read_rgb(tmp_path / "all.tif")


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_each_page_of_a_stack_is_a_case_and_channels_share_a_range(tmp_path: Path, suffix: str) -> None:
    values = np.stack([counts(3, 8, 10), counts(3, 8, 10, low=2000, high=9000)], axis=1)
    save, axes = (save_imagej, "TCYX") if suffix == ".tif" else (save_ome, "tcyx")
    for name, more in (("noisy", 5), ("truth", 0)):
        (tmp_path / name).mkdir()
        save(tmp_path / name / f"a{suffix}", values + np.uint16(more), axes)
    cases = find_cases(PROTOCOLS["pairs"], tmp_path / "noisy", tmp_path / "truth")
    assert [case.name for case in cases] == [f"a, page {page}" for page in range(1, 7)]
    pairs = [case.load() for case in cases]
    assert [(pair.depth, pair.degraded.shape) for pair in pairs] == [(16, (8, 10, 1))] * 6
    assert np.allclose(pairs[3].clean[..., 0] * 65535, values[1, 1])
    assert np.allclose((pairs[5].degraded - pairs[5].clean) * 65535, 5, atol=0.01)
    assert pairs[1].sampled() is pairs[5].sampled()
    for of_channel, more in zip(pairs[1].sampled(), (5, 0), strict=True):
        assert np.allclose(np.sort(of_channel.ravel() * 65535), np.sort(values[:, 1].ravel() + more))
    one = find_cases(PROTOCOLS["pairs"], *(tmp_path / name / f"a{suffix}" for name in ("noisy", "truth")))
    assert [case.name for case in one] == [case.name for case in cases]


def test_stacks_of_unequal_length_are_no_pair(tmp_path: Path) -> None:
    for name, pages in (("noisy", 3), ("truth", 2)):
        (tmp_path / name).mkdir()
        save_imagej(tmp_path / name / "a.tif", counts(pages, 8, 10), "TYX")
    (case,) = find_cases(PROTOCOLS["pairs"], tmp_path / "noisy", tmp_path / "truth")
    with pytest.raises(PictureError, match=r"noisy/a.tif: has 3 pages, but its clean image .*a.tif has 2"):
        case.load()


def test_images_of_instruments_are_cases_too(tmp_path: Path) -> None:
    for kind, offset in (("int16", -1024), ("uint32", 2**30), ("float64", 2.0**40)):
        values = (counts(8, 10) + np.array(offset)).astype(kind)
        for name, more in (("noisy", 5), ("truth", 0)):
            tifffile.imwrite(tmp_path / f"{name}.tif", values + np.array(more, kind))
        check_pair_of_instruments(tmp_path, values)


def check_pair_of_instruments(tmp_path: Path, values: np.ndarray) -> None:
    (case,) = find_cases(PROTOCOLS["pairs"], tmp_path / "noisy.tif", tmp_path / "truth.tif")
    pair = case.load()
    assert pair.depth == 32
    assert np.array_equal(pair.clean[..., 0], values)
    assert np.array_equal(pair.degraded - pair.clean, np.full((8, 10, 1), 5))
