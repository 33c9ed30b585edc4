"""The eight views of a tile, and what their answers say together."""

import numpy as np

from uformer.restore.views import FEW, VIEWS, Moments, views_of

TILE = np.arange(3 * 4 * 6, dtype=np.float32).reshape(3, 4, 6)


def test_each_view_differs_and_can_be_undone() -> None:
    square = TILE[:, :4, :4]
    assert len({view.of(square).tobytes() for view in VIEWS}) == 8
    assert all(np.array_equal(view.undo(view.of(TILE)), TILE) for view in VIEWS)


def test_the_first_is_the_tile_and_the_first_few_have_its_shape() -> None:
    assert np.array_equal(VIEWS[0].of(TILE), TILE)
    assert {view.of(TILE).shape for view in VIEWS[:FEW]} == {TILE.shape}
    assert (views_of(ensemble=False), views_of(ensemble=True)) == (4, 8)


def test_mean_and_spread() -> None:
    answers = np.random.default_rng(0).normal(0.5, 0.01, (8, 3, 4, 6)).astype(np.float32)
    moments = Moments(answers[0])
    for answer in answers[1:]:
        moments.add(answer)
    np.testing.assert_allclose(moments.mean, answers.mean(axis=0), atol=1e-6)
    expected = np.sqrt(answers.astype(float).var(axis=0).mean(axis=0, keepdims=True))
    np.testing.assert_allclose(moments.spread, expected, atol=1e-5)
