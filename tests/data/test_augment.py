import numpy as np

from uformer.data.augment import border, draw_gradient, to_gray, turn


def test_flips_and_turns_are_the_eight_of_a_square() -> None:
    patch = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    found = {
        turn(patch, quarters=quarters, flip=flip).tobytes() for quarters in range(4) for flip in (False, True)
    }
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


def test_borders_go_on_mirrored_on_either_side_or_not_at_all() -> None:
    rng = np.random.default_rng(0)
    sides: list[str] = []
    for _ in range(300):
        at = border(rng, 128)
        assert at.shape == (128,)
        steps = np.diff(at)
        assert set(np.abs(steps)) == {1}
        turns = np.flatnonzero(steps[1:] != steps[:-1]) + 1
        if len(turns) == 0:
            assert np.array_equal(at, np.arange(128))
            sides.append("neither")
            continue
        (corner,) = turns
        first = at[corner] == 0
        extent = int(corner) if first else 127 - int(corner)
        assert 8 <= extent <= 24
        assert at[corner] == (0 if first else 127)  # the border pixel itself is not repeated
        sides.append("before" if first else "behind")
    assert all(70 < sides.count(side) < 130 for side in ("before", "behind", "neither"))


def test_a_quarter_of_a_small_patch_is_mirrored_at_the_most() -> None:
    rng = np.random.default_rng(0)
    assert all(len(set(border(rng, 16).tolist())) >= 12 for _ in range(100))
