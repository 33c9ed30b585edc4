from pathlib import Path

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
