"""Each kind of TIFF against known values; tifffile and Pillow must agree if they can read it."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile

from tests.image.tiffs import Tag, packed, tiff
from uformer.errors import PictureError
from uformer.image.read import header, read, read_samples
from uformer.image.regions import regions

RNG = np.random.default_rng(7)
HEIGHT, WIDTH = 5, 9
EXTRA = "has an extra channel that is not alpha; it is left out"


def numbers(bits: int, samples: int = 1) -> np.ndarray:
    return RNG.integers(0, 2**bits, (HEIGHT, WIDTH, samples))


@dataclass(frozen=True)
class Case:
    data: bytes
    levels: np.ndarray
    """(H, W, C), from 0 to 255, 65535 or (float) 1."""
    alpha: np.ndarray | None = None
    note: str = ""
    tifffile: np.ndarray | None = None
    """The samples from tifffile, which leaves them unchanged; None if they are not compared."""
    pillow: str = ""
    """The mode for comparison with Pillow; empty if Pillow does not read the file correctly."""


def written(samples: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def flipped_bits(data: bytes) -> bytes:
    return np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 8)[:, ::-1]).tobytes()


def size(**more: Any) -> dict[str, Any]:
    return {"width": WIDTH, "height": HEIGHT} | more


def cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for bits in (1, 2, 4, 8, 16):
        for photometric in (0, 1):
            values = numbers(bits)
            data = packed(values, bits) if bits < 16 else values.astype("<u2").tobytes()
            shown = values if photometric else 2**bits - 1 - values
            levels = shown * (65535 if bits == 16 else 255) // (2**bits - 1)
            note = "has 1 bit per pixel; read as 8-bit gray" if bits == 1 else ""
            for name, tags in {"": {}, ", void": {339: (3, [4])}}.items():
                found[f"{bits} bits, gray {photometric}{name}"] = Case(
                    tiff([data], bits=bits, photometric=photometric, tags=tags, **size()),
                    levels,
                    note=note,
                    tifffile=values[..., 0] if bits not in (2, 4) and not tags else None,  # needs a plug-in
                    pillow="L" if bits <= 8 and not tags else "I" if photometric and not tags else "",
                )
        if bits < 16:
            colours = RNG.integers(0, 65536, (3, 2**bits))
            values = numbers(bits)
            data = tiff(
                [packed(values, bits)],
                bits=bits,
                photometric=3,
                tags={320: (3, colours.reshape(-1).tolist())},
                **size(),
            )
            found[f"{bits} bits, palette"] = Case(
                data, np.moveaxis(colours[:, values[..., 0]], 0, -1) >> 8, pillow="RGB"
            )
    low = RNG.integers(0, 256, (3, 256))
    values = numbers(8)
    data = tiff([packed(values, 8)], photometric=3, tags={320: (3, low.reshape(-1).tolist())}, **size())
    found["palette of 8-bit colours"] = Case(data, np.moveaxis(low[:, values[..., 0]], 0, -1))
    alpha = numbers(8, 2)
    data = tiff(
        [packed(alpha, 8)],
        photometric=3,
        samples=2,
        tags={320: (3, low.reshape(-1).tolist()), 338: (3, [2])},
        **size(),
    )
    found["palette with alpha"] = Case(data, np.moveaxis(low[:, alpha[..., 0]], 0, -1), alpha=alpha[..., 1])
    for kind in ("u1", "u2", "f4"):
        for order in "<>":
            rgb = (
                RNG.random((HEIGHT, WIDTH, 3)).astype(kind)
                if kind == "f4"
                else numbers(8 * int(kind[1]), 3).astype(kind)
            )
            planes = np.ascontiguousarray(np.moveaxis(rgb, -1, 0))
            pillow = "RGB" if kind == "u1" else ""
            for big in (False, True):
                data = written(rgb, photometric="rgb", byteorder=order, bigtiff=big)
                shown_by = "" if big and order == ">" else pillow  # Pillow does not support this kind
                found[f"RGB {kind} {order} big={big}"] = Case(data, rgb, tifffile=rgb, pillow=shown_by)
            data = written(planes, photometric="rgb", planarconfig="separate", byteorder=order)
            found[f"RGB {kind} {order} in planes"] = Case(data, rgb, tifffile=planes, pillow=pillow)
            data = written(
                rgb, photometric="rgb", byteorder=order, compression="deflate", predictor=None, rowsperstrip=2
            )
            found[f"RGB {kind} {order} deflate"] = Case(data, rgb, tifffile=rgb, pillow=pillow)
        gray = np.ascontiguousarray(rgb[..., :1])
        found[f"gray {kind}"] = Case(
            written(gray[..., 0], photometric="minisblack"), gray, tifffile=gray[..., 0]
        )
        tile = np.ascontiguousarray(np.tile(rgb, (4, 4, 1)))
        found[f"RGB {kind} tiles"] = Case(
            written(tile, photometric="rgb", tile=(16, 16)), tile, tifffile=tile, pillow=pillow
        )
    rgba = numbers(8, 4).astype("u1")
    rgb = rgba[..., :3]
    for name, extra, kept, note in (
        ("alpha", "unassalpha", rgba[..., 3], ""),
        ("another channel", "unspecified", None, EXTRA),
    ):
        for planar in ("contig", "separate"):
            samples = rgba if planar == "contig" else np.ascontiguousarray(np.moveaxis(rgba, -1, 0))
            data = written(samples, photometric="rgb", planarconfig=planar, extrasamples=[extra])
            pillow = "" if extra == "unspecified" and planar == "separate" else "RGB"
            found[f"RGB and {name}, {planar}"] = Case(data, rgb, kept, note, tifffile=samples, pillow=pillow)
        for kind, shown in (("minisblack", rgba[..., :1]), ("miniswhite", 255 - rgba[..., :1])):
            samples = np.ascontiguousarray(rgba[..., [0, 3]])
            data = written(samples, photometric=kind, planarconfig="contig", extrasamples=[extra])
            pillow = "L" if kind == "minisblack" else ""
            found[f"{kind} and {name}"] = Case(data, shown, kept, note, tifffile=samples, pillow=pillow)
    found["RGB and a fourth channel"] = Case(
        tiff([rgba.tobytes()], photometric=2, samples=4, **size()),
        rgb,
        rgba[..., 3],
        tifffile=rgba,
        pillow="RGB",
    )
    found["three channels not said to be RGB"] = Case(
        tiff([rgb.tobytes()], photometric=1, samples=3, **size()),
        rgb,
        note="has 3 channels that it does not declare as RGB; they are read as RGB",
        tifffile=rgb,
    )
    data = tiff([flipped_bits(rgba[..., 0].tobytes())], tags={266: (3, [2])}, **size())
    found["bits in the other order"] = Case(data, rgba[..., :1], tifffile=rgba[..., 0], pillow="L")
    return found


CASES = cases()


def peak(depth: int) -> int:
    return {8: 255, 16: 65535, 32: 1}[depth]


def quiet_read(data: bytes | Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(data)


@pytest.mark.parametrize("name", CASES)
def test_read_as_it_is_meant(name: str) -> None:
    case = CASES[name]
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        image = read(case.data)
    assert [str(note.message) for note in notes] == [f"image: {case.note}"] * bool(case.note)
    levels = image.pixels * peak(image.depth)
    np.testing.assert_allclose(levels, case.levels, atol=1e-7 if image.depth == 32 else 0.01)
    if case.alpha is None:
        assert image.alpha is None
    else:
        np.testing.assert_array_equal(image.alpha, case.alpha)
    head = header(case.data)
    assert (head.channels, head.alpha, head.depth) == (image.channels, image.alpha is not None, image.depth)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.tifffile is not None])
def test_tifffile_finds_the_same_samples(name: str) -> None:
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(CASES[name].data)), CASES[name].tifffile)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.pillow])
def test_pillow_shows_the_same(name: str) -> None:
    case = CASES[name]
    shown = np.asarray(PIL.Image.open(io.BytesIO(case.data)).convert(case.pillow))
    np.testing.assert_array_equal(shown.reshape(case.levels.shape), case.levels)


@pytest.mark.parametrize("name", CASES)
def test_large_images_and_training_data_are_read_the_same_way(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(CASES[name].data)
    image = quiet_read(path)
    samples = image.values if image.depth == 32 else np.rint(image.pixels * peak(image.depth))
    np.testing.assert_array_equal(read_samples(path), samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with regions(path, folder=tmp_path) as rows:
            part = rows.part(0, image.height)
            assert (rows.frame.alpha is None) == (image.alpha is None)
    np.testing.assert_array_equal(part.pixels, image.pixels)
    if image.alpha is not None:
        np.testing.assert_array_equal(part.alpha, image.alpha)


def test_five_channels_come_out_whole_for_training() -> None:
    samples = numbers(16, 5).astype("u2")
    for photometric in ("rgb", "minisblack"):
        data = written(samples, photometric=photometric, planarconfig="contig")
        np.testing.assert_array_equal(read_samples(data), samples)
        with pytest.raises(PictureError, match="5 channels, expected gray or RGB, with or without alpha"):
            read(data)


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("colours", [1, 3])
def test_associated_alpha_is_divided_out(kind: str, colours: int) -> None:
    most = 1 if kind == "f4" else np.iinfo(kind).max
    alpha = RNG.uniform(0.1, 1, (HEIGHT, WIDTH, 1))
    colour = RNG.uniform(0, 1, (HEIGHT, WIDTH, colours))
    samples = np.concatenate([colour * alpha, alpha], axis=-1) * most
    samples = samples.astype(kind) if kind == "f4" else np.rint(samples).astype(kind)
    photometric = "rgb" if colours == 3 else "minisblack"
    data = written(samples, photometric=photometric, planarconfig="contig", extrasamples=["assocalpha"])
    if kind == "f4" and colours == 1:  # libvips reads an alpha of 1 as 1 / 255 here
        with pytest.raises(PictureError, match="gray with associated alpha is not supported"):
            read(data)
        return
    image = read(data)
    expected = np.clip(samples[..., :-1] / samples[..., -1:].astype(float), 0, 1)
    np.testing.assert_allclose(image.pixels, expected, atol=1.01 / most if kind != "f4" else 1e-6)
    np.testing.assert_array_equal(image.alpha, samples[..., -1])


def lab_to_srgb(lab: tuple[float, float, float]) -> np.ndarray:
    """Convert L*a*b* (D50) to sRGB, with Bradford adaptation to D65 (B. Lindbloom's matrix)."""
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.clip(np.array(matrix) @ xyz, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(
    "lab", [(50, 20, -30), (100, 0, 0), (50, 0, 0), (0, 0, 0), (60, 60, 40), (80, -50, 40), (30, 20, -60)]
)
def test_lab(lab: tuple[float, float, float]) -> None:
    codes = [round(lab[0] * 65535 / 100), round(lab[1] * 256), round(lab[2] * 256)]
    for order in "<>":
        words = np.tile(np.array(codes, np.int32).astype(np.uint16), (HEIGHT, WIDTH, 1)).astype(order + "u2")
        for sample_format in (1, 2):
            tags: dict[int, Tag | None] = {339: (3, [sample_format] * 3)}
            data = tiff(
                [words.tobytes()], bits=16, photometric=8, samples=3, order=order, tags=tags, **size()
            )
            with pytest.warns(UserWarning, match="^image: is Lab; converted to sRGB$"):
                image = read(data)
            np.testing.assert_allclose(image.pixels[2, 3], lab_to_srgb(lab), atol=0.3 / 255)
    reals = np.tile(np.array(lab, "<f4"), (HEIGHT, WIDTH, 1))
    data = tiff([reals.tobytes()], bits=32, photometric=8, samples=3, tags={339: (3, [3] * 3)}, **size())
    np.testing.assert_allclose(quiet_read(data).pixels[2, 3], lab_to_srgb(lab), atol=0.3 / 255)


@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_cmyk(kind: str) -> None:
    most = np.iinfo(kind).max
    inks = np.zeros((HEIGHT, WIDTH, 5), kind)
    inks[0, 0, 0] = inks[0, 1, 1] = inks[0, 2, 2] = inks[0, 3, 3] = most
    inks[..., 4] = numbers(8 * int(kind[1]))[..., 0]
    whole = quiet_read(
        written(np.ascontiguousarray(inks[..., :4]), photometric="separated", planarconfig="contig")
    )
    cyan, magenta, yellow, black, paper = whole.pixels[0, :5]
    assert cyan.argmin() == 0
    assert magenta.argmin() == 1
    assert yellow.argmin() == 2
    assert black.max() < 0.25
    assert paper.min() > 0.98
    for extra in ("unassalpha", "unspecified"):
        data = written(inks, photometric="separated", planarconfig="contig", extrasamples=[extra])
        image = quiet_read(data)
        np.testing.assert_array_equal(image.pixels, whole.pixels)
        np.testing.assert_array_equal(image.alpha, inks[..., 4] if extra == "unassalpha" else None)
        np.testing.assert_array_equal(read_samples(data), np.rint(whole.pixels * most))


NOT_READ: dict[str, tuple[dict[str, Any], str]] = {
    "mask": (
        {"photometric": 4},
        "its samples are a transparency mask (photometric interpretation 4); convert it to RGB",
    ),
    "ICC Lab": (
        {"photometric": 9, "samples": 3},
        "its samples are ICC L*a*b* (photometric interpretation 9)",
    ),
    "ITU Lab": (
        {"photometric": 10, "samples": 3},
        "its samples are ITU L*a*b* (photometric interpretation 10)",
    ),
    "LogL": ({"photometric": 32844, "bits": 16}, "its samples are LogL"),
    "LogLuv": ({"photometric": 32845, "samples": 3}, "its samples are LogLuv"),
    "depth": ({"photometric": 51177}, "its samples are a depth map"),
    "semantic mask": ({"photometric": 52527}, "its samples are a semantic mask"),
    "unknown": ({"photometric": 99}, "its samples are of an unknown kind (photometric interpretation 99)"),
    "unsaid": (
        {"photometric": None},
        "its colours are unknown (no PhotometricInterpretation tag)",
    ),
    "compression": (
        {"tags": {259: (3, [34712])}},
        "its compression (number 34712) is not supported; save it with LZW or deflate",
    ),
    "bits that differ": (
        {"bits": [5, 6, 5], "samples": 3, "photometric": 2},
        "its BitsPerSample tag is 5, 6, 5; all samples",
    ),
    "formats that differ": (
        {"samples": 3, "photometric": 2, "tags": {339: (3, [1, 1, 3])}},
        "its SampleFormat tag is 1, 1, 3; all samples of a pixel must have the same",
    ),
    "12 bits": (
        {"bits": 12},
        "12-bit samples are not supported; save them as 8-bit, 16-bit or 32-bit float",
    ),
    "24 bits": ({"bits": 24}, "24-bit samples are not supported"),
    "signed of 12 bits": ({"bits": 12, "tags": {339: (3, [2])}}, "12-bit signed samples are not supported"),
    "float of 24 bits": ({"bits": 24, "tags": {339: (3, [3])}}, "24-bit float samples are not supported"),
    "complex whole numbers": (
        {"bits": 32, "tags": {339: (3, [5])}},
        "32-bit complex or unknown samples are not supported",
    ),
    "complex": (
        {"bits": 64, "tags": {339: (3, [6])}},
        "64-bit complex or unknown samples are not supported",
    ),
    "format of no number": (
        {"tags": {339: (3, [9])}},
        "8-bit complex or unknown samples are not supported",
    ),
    "signed CMYK": (
        {"photometric": 5, "samples": 4, "bits": 16, "tags": {339: (3, [2] * 4)}},
        "16-bit signed CMYK is not supported",
    ),
    "RGB of 4 bits": (
        {"bits": 4, "photometric": 2, "samples": 3},
        "4-bit RGB is not supported; save it as 8-bit or 16-bit RGB or gray",
    ),
    "gray of 4 bits and alpha": (
        {"bits": 4, "samples": 2},
        "4-bit gray with 2 channels is not supported; 1 expected",
    ),
    "RGB of 2 channels": (
        {"photometric": 2, "samples": 2},
        "8-bit RGB with 2 channels is not supported; 3 expected",
    ),
    "white-is-zero of 3 channels": (
        {"photometric": 0, "samples": 3},
        "8-bit white-is-zero gray with 3 channels is not supported",
    ),
    "too many extra": (
        {"photometric": 2, "samples": 4, "tags": {338: (3, [2, 0])}},
        "8-bit RGB with 4 channels, 2 of them extra, is not supported; 3 expected",
    ),
    "palette of 16 bits": (
        {"bits": 16, "photometric": 3, "tags": {320: (3, [0] * 196_608)}},
        "16-bit palette is not supported",
    ),
    "no palette": ({"photometric": 3}, "its palette has 0 values, expected 768"),
    "small palette": (
        {"photometric": 3, "tags": {320: (3, [0] * 48)}},
        "its palette has 48 values, expected 768",
    ),
    "palette with associated alpha": (
        {"photometric": 3, "samples": 2, "tags": {320: (3, [0] * 768), 338: (3, [1])}},
        "palette with associated alpha is not supported; save it with unassociated alpha",
    ),
    "white-is-zero with associated alpha": (
        {"photometric": 0, "samples": 2, "tags": {338: (3, [1])}},
        "white-is-zero gray with associated alpha is not supported",
    ),
    "associated alpha among others": (
        {"photometric": 2, "samples": 5, "tags": {338: (3, [1, 0])}},
        "RGB with associated alpha is not supported; save it with unassociated alpha",
    ),
    "CMY": ({"photometric": 5, "samples": 3}, "8-bit CMYK with 3 channels is not supported; 4 expected"),
    "other inks": (
        {"photometric": 5, "samples": 4, "tags": {332: (3, [2])}},
        "its inks are not CMYK (ink set 2, 4 inks)",
    ),
    "six inks": (
        {"photometric": 5, "samples": 6, "tags": {334: (3, [6])}},
        "8-bit CMYK with 6 channels is not supported",
    ),
    "inks of a part of the range": (
        {"photometric": 5, "samples": 4, "tags": {336: (3, [16, 235])}},
        "its inks do not use the whole range (DotRange tag); convert it to RGB",
    ),
    "CMYK of float": (
        {"photometric": 5, "samples": 4, "bits": 32, "tags": {339: (3, [3] * 4)}},
        "32-bit float CMYK is not supported",
    ),
    "Lab of 8 bits": (
        {"photometric": 8, "samples": 3},
        "8-bit Lab is not supported; convert it to RGB or to 16-bit Lab",
    ),
    "Lab with alpha": (
        {"photometric": 8, "samples": 4, "bits": 16},
        "16-bit Lab with 4 channels is not supported; 3 expected",
    ),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    options, said = NOT_READ[name]
    data = tiff([bytes(4000)], width=WIDTH, height=HEIGHT, **options)
    for ask in (read, read_samples, header):
        with pytest.raises(PictureError) as error:
            ask(data)
        assert str(error.value).startswith("image: cannot be read as TIFF: ")
        assert said in str(error.value)
        assert "\n" not in str(error.value)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(PictureError), regions(tmp_path / "a.tif", folder=tmp_path):
        pass


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_in_xmp_counts_where_the_tag_is_absent(orientation: int) -> None:
    pixels = numbers(8).astype("u1")
    packet = b'<rdf:Description tiff:Orientation="%d"/>' % orientation
    tags: dict[int, Tag | None] = {700: (1, packet)}
    turned = PIL.Image.fromarray(pixels[..., 0])
    exif = PIL.Image.Exif()
    exif[274] = orientation
    turned.info["exif"] = exif.tobytes()
    expected = np.asarray(PIL.ImageOps.exif_transpose(turned))
    image = read(tiff([pixels.tobytes()], tags=tags, **size()))
    np.testing.assert_array_equal(np.rint(image.pixels[..., 0] * 255), expected)
    assert image.metadata.xmp == b'<rdf:Description tiff:Orientation="1"/>'
    image = read(tiff([pixels.tobytes()], tags=tags | {274: (3, [1])}, **size()))
    np.testing.assert_array_equal(np.rint(image.pixels * 255), pixels)
