"""Small images and a small network for jobs."""

from pathlib import Path

import numpy as np

from tests.networks import TINY, build
from uformer.image.image import Image
from uformer.image.write import encode
from uformer.weights import checkpoint


def network(folder: Path) -> Path:
    path = folder / "tiny.safetensors"
    checkpoint.save(path, build(TINY))
    return path


def picture(seed: int = 0, *, side: int = 24, suffix: str = ".png") -> bytes:
    return encode(
        Image(pixels=np.random.default_rng(seed).random((side, side + 8, 3), dtype=np.float32)), suffix
    )


def folder_of(folder: Path, count: int, *, side: int = 24) -> Path:
    """A folder of images, every third of them in a subfolder."""
    (folder / "below").mkdir(parents=True)
    for number in range(count):
        (folder / ("below" if number % 3 == 0 else "") / f"{number:02}.png").write_bytes(
            picture(number, side=side)
        )
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The images below a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}
