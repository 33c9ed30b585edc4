import numpy as np

from uformer.data.stretch import stretched


def test_dark_images_become_visible_and_keep_their_relation() -> None:
    dark = np.linspace(0.01, 0.03, 300, dtype=np.float32).reshape(10, 10, 3)
    (one, other), changed = stretched([dark, dark * np.float32(0.5)])
    assert changed
    assert one.max() == 1
    assert 0.3 < other.max() < 0.6
    assert one.dtype == np.float32


def test_images_that_use_the_range_and_flat_images_stay_as_they_are() -> None:
    photo = np.linspace(0, 1, 300, dtype=np.float32).reshape(10, 10, 3)
    for image in (photo, np.full((4, 4, 1), 0.2, np.float32)):
        (same,), changed = stretched([image])
        assert same is image
        assert not changed
