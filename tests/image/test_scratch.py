"""Samples written in parts come back as one image, without anything else."""

from pathlib import Path

import numpy as np
import pytest

from uformer.image import vips
from uformer.image.scratch import scratch


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (33, 5, 1), (16, 3, 3), (17, 5, 2), (100, 7, 4)])
def test_samples_come_back(tmp_path: Path, shape: tuple[int, int, int], kind: str) -> None:
    samples = (np.random.default_rng(0).random(shape) * 200).astype(kind)
    half = shape[0] // 2
    with scratch(tmp_path, shape, samples.dtype) as file:
        file.write(half, samples[half:])
        file.write(0, np.zeros_like(samples[:half]))
        file.write(0, samples[:half])  # again
        image, expected = file.image(), vips.from_samples(samples)
        assert np.array_equal(image.numpy().reshape(shape), samples)
        assert image.interpretation == expected.interpretation
        assert set(image.get_fields()) - {"filename"} == set(expected.get_fields()) - {"filename"}


def test_more_than_four_gigabytes(tmp_path: Path) -> None:
    with scratch(tmp_path, (50_000, 30_000, 3), np.dtype("u1")) as file:
        try:
            file.write(49_999, np.full((1, 30_000, 3), 7, np.uint8))
        except OSError:
            pytest.skip("this file system keeps no holes")
        assert not list(tmp_path.iterdir()), "it has no name, so that a killed process leaves nothing"
        image = file.image()
        assert (image.width, image.height) == (30_000, 50_000)
