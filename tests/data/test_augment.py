import numpy as np

from uformer.data.augment import draw_gradient, to_gray, turn


def test_flips_and_turns_are_the_eight_of_a_square() -> None:
    patch = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    found = {turn(patch, quarters=quarters, flip=flip).tobytes() for quarters in range(4) for flip in (False, True)}
    assert len(found) == 8
    assert np.array_equal(turn(patch, quarters=0, flip=True), patch[:, ::-1])
    assert np.array_equal(turn(patch, quarters=1, flip=False), np.rot90(patch))


def test_drawings_are_smooth_8_bit_and_flat_half_of_the_time() -> None:
    rng = np.random.default_rng(0)
    drawings = [draw_gradient(rng, 32) for _ in range(200)]
    for drawing in drawings:
        assert drawing.shape == (32, 32, 3)
        assert drawing.dtype == np.float32
        assert 0 <= drawing.min() <= drawing.max() <= 1
        assert np.abs(np.diff(drawing, axis=0)).max() < 0.03
        assert np.abs(drawing * 255 - np.rint(drawing * 255)).max() < 1e-4
    assert 60 < sum(float(np.ptp(drawing, axis=(0, 1)).max()) == 0 for drawing in drawings) < 140


def test_gray_is_the_mean_in_every_channel() -> None:
    patch = np.random.default_rng(0).random((4, 5, 3), np.float32)
    gray = to_gray(patch)
    assert gray.shape == patch.shape
    assert np.allclose(gray[..., 2], patch.mean(axis=2))
