"""What a picture takes of the memory grows with its size, until it is restored by regions."""

from uformer.restore.footprint import MOST_IN_MEMORY, fits_in_memory, picture_memory


def test_a_picture_fits_where_it_takes_a_third() -> None:
    assert fits_in_memory(10**6, 10**9)
    assert not fits_in_memory(10**6, 10**8)
    assert not fits_in_memory(MOST_IN_MEMORY + 1, 10**12)


def test_a_picture_by_regions_takes_a_row_of_tiles() -> None:
    assert picture_memory(1000, 1000, 128, 10**9) > 1000 * 1000 * 12 * 2
    assert picture_memory(20000, 20000, 128, 10**9) < 20000 * (128 * 50 + 10**4)
    assert picture_memory(20000, 20000, 512, 10**9) > 20000 * 512 * 24
    assert picture_memory(10, 20000, 512, 10**5) == picture_memory(10, 20000, 640, 10**5)
