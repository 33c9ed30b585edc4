import numpy as np

from uformer.data.captions import HEIGHT
from uformer.data.contact import lay_out, thumbnail, to_rgb


def test_rows_lie_below_each_other_with_gray_between() -> None:
    white, black = np.ones((8, 10, 3), np.float32), np.zeros((6, 5, 1), np.float32)
    page = lay_out([[white, black], [black]])
    assert page.shape == (8 + 4 + 6, 10 + 4 + 5, 3)
    assert (page[:8, :10] == 1).all()
    assert (page[:6, 14:] == 0).all()
    assert (page[:8, 10:14] == 0.5).all()
    assert (page[12:, :5] == 0).all()


def test_thumbnails_keep_their_shape_and_mean() -> None:
    picture = np.random.default_rng(0).random((100, 60, 3), np.float32)
    small = thumbnail(picture, 50)
    assert small.shape == (50, 30, 3)
    assert abs(float(small.mean() - picture.mean())) < 0.01
    assert thumbnail(picture, 100) is picture
    assert thumbnail(picture[..., :1], 50).shape == (50, 30, 1)


def test_any_channels_can_be_looked_at() -> None:
    for channels in (1, 2, 3, 4, 9):
        assert to_rgb(np.zeros((2, 2, channels), np.float32)).shape == (2, 2, 3)


def test_labels_stand_above_their_images_and_widen_small_ones() -> None:
    white = np.ones((8, 10, 3), np.float32)
    page = lay_out([[white, white]], [["one", "two"]])
    assert page.shape == (HEIGHT + 8, 150 + 4 + 150, 3)
    assert (page[HEIGHT:, :10] == 1).all()
    assert (page[HEIGHT:, 10:154] == 0.5).all()
    assert page[:HEIGHT, 0].max() == 0
