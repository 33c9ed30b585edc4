"""A Zarr is read plane by plane; axes say which planes are channels."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.image.stacks import counts
from tests.image.zarrs import save_ome
from uformer.errors import PictureError
from uformer.image import extras, zarr_stack
from uformer.image.image import Header
from uformer.image.zarr_stack import opened_zarr, zarr_header


def refusal(path: Path) -> str:
    with pytest.raises(PictureError) as refused, opened_zarr(path):
        pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("version", [2, 3])
def test_planes_of_ome_zarr_know_their_channels(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.ome.zarr"
    values = save_ome(path, counts(3, 2, 2, 8, 10), "tczyx", version=version, chunks=(1, 1, 2, 4, 4))
    with opened_zarr(path) as stack:
        assert (stack.count, stack.height, stack.width, stack.depth, stack.channels) == (12, 8, 10, 16, 2)
        assert [plane.channel for plane in stack.planes] == [0, 0, 1, 1] * 3
        assert np.array_equal(stack.read(5)[..., 0], values[1, 0, 1])
    assert zarr_header(path) == Header(
        width=10, height=8, channels=1, alpha=False, depth=16, suffix=".zarr", frames=12, stack="is a Zarr"
    )


@pytest.mark.parametrize(
    ("shape", "names", "planes"),
    [
        ((8, 10), None, [((0,), 0)]),
        ((2, 8, 10), None, [((0,), 0)] * 2),
        ((8, 10, 3), None, [((0, 1, 2), 0)]),
        ((2, 8, 10, 4), None, [((0, 1, 2), 0)] * 2),
        ((8, 10, 3), ["z", "y", "x"], [((0,), 0)] * 8),
        ((8, 10, 2), ["Y", "X", "C"], [((0,), 0), ((1,), 1)]),
        ((2, 8, 10), ["c", "y", "x"], [((0,), 0), ((0,), 1)]),
    ],
)
def test_axes_of_plain_arrays(
    tmp_path: Path, shape: tuple[int, ...], names: list[str] | None, planes: list[tuple[tuple[int, ...], int]]
) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=shape, dtype="uint8", dimension_names=names)
    with opened_zarr(tmp_path / "a.zarr") as stack:
        assert [(plane.samples, plane.channel) for plane in stack.planes] == planes


@pytest.mark.parametrize("kind", ["int16", "uint32", "float64"])
def test_other_types_have_values_of_their_own_and_keep_what_does_not_change(
    tmp_path: Path, kind: str
) -> None:
    values = np.array([[[-300, 5], [2**31 - 1, 7], [8, 9]]]).astype(kind)
    zarr.create_array(tmp_path / "a.zarr", data=values)
    with opened_zarr(tmp_path / "a.zarr") as stack:
        samples = stack.read(0)
        assert (stack.depth, samples.dtype.name) == (32, kind)
        assert np.array_equal(stack.read_channels(0)[..., 0], values[0])
        seen = stack.values(samples, stack.planes[0])
        assert np.array_equal(seen[..., 0], values[0])
        seen[2] = [[2.4], [1e20]]
        stack.put(seen, stack.planes[0], samples)
        most = 1e20 if kind == "float64" else np.iinfo(kind).max
        assert samples[:2, :, 0].tolist() == values[0, :2].tolist()
        assert samples[2, :, 0].tolist() == [pytest.approx(2.4, abs=0.5), pytest.approx(most)]


def test_what_is_not_a_zarr_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no.zarr").mkdir()
    assert "no.zarr: is not a Zarr: it holds no zarr.json" in refusal(tmp_path / "no.zarr")
    save_ome(tmp_path / "plate.zarr/A", counts(8, 10), "yx")
    zarr.open_group(tmp_path / "plate.zarr", mode="a")
    assert refusal(tmp_path / "plate.zarr").endswith(f"such as {tmp_path}/plate.zarr/A")
    zarr.create_array(tmp_path / "x.zarr", shape=(2, 8, 10), dtype="uint8", dimension_names=["x", "z", "y"])
    assert "the axes x, z, y; the last two must be y, x" in refusal(tmp_path / "x.zarr")
    zarr.create_array(tmp_path / "b.zarr", shape=(8, 10), dtype="complex64")
    assert "samples of type complex64" in refusal(tmp_path / "b.zarr")
    monkeypatch.setattr(extras, "_is_installed", lambda _: False)
    assert 'needs an extra; run: pip install "uformer[zarr]"' in refusal(tmp_path / "x.zarr")


def test_damaged_and_hostile_documents(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    save_ome(path, counts(2, 8, 10), "zyx", chunks=(1, 8, 10))
    sound = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(sound.replace('"path": "1"', '"path": "../b"'))
    assert "'../b' is not the path of an array in it" in refusal(path)
    (path / "zarr.json").write_text(sound.replace('"path": "1"', '"path": "2"'))
    assert "its array '2' is missing" in refusal(path)
    (path / "zarr.json").write_text("{")
    assert "its documents are damaged" in refusal(path)
    (path / "zarr.json").write_text(sound)
    chunk = next((path / "0/c/1").rglob("0"))
    with opened_zarr(path) as stack:
        (chunk if chunk.is_file() else chunk / "0").write_bytes(b"nothing")
        with pytest.raises(PictureError, match="a.zarr: page 2 is damaged"):
            stack.read(1)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(200_000, 8, 10), dtype="uint8", chunks=(200_000, 8, 10))
    assert "holds 200000 planes, over the limit of 100000" in refusal(path)
    zarr.create_array(path, shape=(8, 10**7), dtype="uint8", chunks=(8, 10), overwrite=True)
    assert "planes of 10000000 x 8 pixels; a side is over the limit of 1000000" in refusal(path)
    zarr.create_array(path, shape=(10**5, 10**5), dtype="uint8", chunks=(8, 10), overwrite=True)
    assert "planes of 100000 x 100000 pixels, over the limit of 500000000" in refusal(path)
    monkeypatch.setattr(zarr_stack, "_MOST_CHUNK_BYTES", 99)
    zarr.create_array(path, shape=(10, 10), dtype="uint8", chunks=(10, 10), overwrite=True)
    assert "has chunks of 0.0 GiB" in refusal(path)


def test_values_that_are_not_finite_name_the_page(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=np.array([[[0.5]], [[np.nan]]], np.float32), chunks=(1, 1, 1))
    with (
        opened_zarr(tmp_path / "a.zarr") as stack,
        pytest.raises(PictureError, match="page 2 has float .*NaN"),
    ):
        stack.read(1)


def test_codecs_that_run_code_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=counts(8, 10), zarr_format=2)
    document = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**document, "compressor": {"id": "pickle", "protocol": 5}}))
    assert "is compressed with 'pickle', which is not read here" in refusal(path)
