"""The noise that made a stack is found again."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from uformer.cli import main
from uformer.degradations.counts import CountNoise
from uformer.errors import PictureError
from uformer.photon_transfer import estimate

NOISE = CountNoise(gain=2.0, read=6.0, offset=100.0)


def takes(count: int, *, low: float = 110, high: float = 3000, noise: CountNoise = NOISE) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    scene = np.linspace(low, high, 200 * 200, dtype=np.float32).reshape(200, 200, 1)
    return [np.rint(noise.apply(scene, rng)[0]).astype(np.float64) for _ in range(count)]


def test_with_dark_images_all_three_are_found() -> None:
    found = estimate(iter(takes(4)), takes(2, low=100, high=100))
    assert found.noise.gain == pytest.approx(2, rel=0.03)
    assert found.noise.read == pytest.approx(6, rel=0.03)
    assert found.noise.offset == pytest.approx(100, abs=0.2)
    assert (found.pairs, found.levels, found.separate) == (2, 80, True)


@pytest.mark.parametrize(("photons", "read"), [(150, 3.0), (1000, 6.0), (30, 3.0)])
def test_small_bright_spots_on_a_dark_background(photons: int, read: float) -> None:
    rng = np.random.default_rng(0)
    noise = CountNoise(gain=2.0, read=read, offset=100.0)
    away = np.square(np.arange(256) % 32 - 16)  # from the middle of a spot, one every 32 pixels
    spots = np.exp(-np.add.outer(away, away) / 5.0)[..., None].astype(np.float32)
    scenes = [100 + 2 * photons * spots, np.full_like(spots, 100)]
    lit, unlit = ([noise.apply(scene, rng)[0].astype(np.float64) for _ in range(6)] for scene in scenes)
    for found in (estimate(iter(lit), unlit), estimate(iter(lit))):
        assert found.noise.gain == pytest.approx(2, rel=0.05)


def test_without_them_the_variance_is_found() -> None:
    found = estimate(iter(takes(4)))
    assert found.noise.gain == pytest.approx(2, rel=0.05)
    for signal in (500, 2500):
        assert found.noise.variance(signal) == pytest.approx(NOISE.variance(signal), rel=0.05)
    assert not found.separate
    told = estimate(iter(takes(4)), offset=100)
    assert told.separate
    assert told.noise.read == pytest.approx(6, abs=2.5)


def test_hot_pixels_motion_and_saturation_do_not_count() -> None:
    first, second = takes(2)
    second[50, 50:70] += 4000
    first[100:104] *= 1.3
    both = [np.minimum(each, 2500) for each in (first, second)]
    assert estimate(iter(both), takes(2, low=100, high=100)).noise.gain == pytest.approx(2, rel=0.05)


def test_a_flat_pair_needs_dark_images() -> None:
    flats = takes(2, low=20000, high=20000)
    with pytest.raises(PictureError, match=r"only one level \([\d.]+ counts\).* add --dark"):
        estimate(iter(flats))
    found = estimate(iter(flats), takes(2, low=100, high=100))
    assert found.noise.gain == pytest.approx(2, rel=0.05)


def test_too_few_or_unlike_images() -> None:
    with pytest.raises(PictureError, match="needs at least two images of the scene"):
        estimate(iter(takes(1)))
    with pytest.raises(PictureError, match="differ in size"):
        estimate(iter([takes(1)[0], takes(1)[0][:50]]))


def test_pages_of_several_channels_are_no_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = np.stack(takes(4))[..., 0].astype(np.uint16).reshape(2, 2, 200, 200)
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, pages, imagej=True, metadata={"axes": "TCYX"})
    assert main(["photon-transfer", str(path)]) == 1
    assert "two.tif: its pages show 2 channels, and each has its own noise" in capsys.readouterr().err


def test_the_command_prints_a_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, found in (("a.tif", takes(4)), ("dark.tif", takes(2, low=100, high=100))):
        pages = np.stack(found)[..., 0].astype(np.uint16)
        tifffile.imwrite(tmp_path / name, pages, photometric="minisblack")
    arguments = ["photon-transfer", str(tmp_path / "a.tif"), "--dark", str(tmp_path / "dark.tif")]
    assert main(arguments) == 0
    line = capsys.readouterr().out
    assert line.startswith("--set noise=poisson:gain=")
    noise = CountNoise.parse(line.strip().removeprefix("--set noise="))
    assert noise.gain == pytest.approx(2, rel=0.03)
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["pairs"], values["separate"]) == (2, True)
    assert CountNoise.parse(values["noise"]) == noise
    assert main(["photon-transfer"]) == 2
