from pathlib import Path

import pytest
from matplotlib.figure import Figure

from uformer.image.read import read
from uformer.train.curves import draw_curves


def test_curves_are_a_picture_with_a_panel_for_each_figure(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    draw_curves([], path)
    assert not path.exists()
    draw_curves([{"step": 1, "loss": 0.1, "lr": 1e-3}, {"step": 2, "loss": 0.05, "lr": 1e-4}], path)
    without = read(path).height
    draw_curves([{"step": 1, "loss": 0.1, "lr": 1e-3}, {"step": 1, "psnr": 20.0}], path)
    assert read(path).height > without
    assert list(tmp_path.iterdir()) == [path]


def test_dashed_lines_are_the_scores_of_the_newest_held_out_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    log = [{"step": 0, "input_psnr": 20.0, "start_psnr": 25.0}, {"step": 5, "input_psnr": 22.0}]
    draw_curves([*log, {"step": 6, "psnr": 26.0}], tmp_path / "curves.png")
    legend = figures[0].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["the input itself: 22"]
