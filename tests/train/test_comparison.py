from pathlib import Path
from typing import Any

import pytest

from tests.train.runs import tiny
from uformer.errors import OptionError
from uformer.train.comparison import ComparedRun, markdown, read_results, write_results

LOG: list[dict[str, Any]] = [
    {"step": 0, "input_psnr": 20.0},
    {"step": 3, "minutes": 0.5, "psnr": 24.0},
    {"step": 6, "minutes": 1.0, "psnr": 25.0},
]


def test_a_table_shows_the_newest_scores_and_differences() -> None:
    one = ComparedRun.of("one", tiny(), LOG)
    two = ComparedRun.of("two", tiny(), [*LOG, {"step": 9, "minutes": 1.5, "psnr": 24.5}])
    table = markdown([one, two]).splitlines()
    assert table[2].startswith("| one | 25.00 |  | 6 | 1.0 | 0.00")
    assert table[3].startswith("| two | 24.50 | -0.50 | 9 | 1.5 | 0.00")
    assert table[-1] == "The held-out images as they came: 20.00."


def test_results_are_read_back_for_the_same_request_only(tmp_path: Path) -> None:
    run = ComparedRun.of("one", tiny(), LOG)
    assert read_results(tmp_path, {"minutes": 5}) == []
    write_results(tmp_path, {"minutes": 5}, [run])
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "table.json", "curves.png"}
    assert read_results(tmp_path, {"minutes": 5}) == [run]
    with pytest.raises(OptionError, match="holds another comparison .minutes: 5, now 6"):
        read_results(tmp_path, {"minutes": 6})
    (tmp_path / "table.json").write_text("{")
    with pytest.raises(OptionError, match="table.json: cannot be read"):
        read_results(tmp_path, {"minutes": 5})


def test_a_run_without_scores_is_refused() -> None:
    with pytest.raises(OptionError, match="one: no images were held out"):
        ComparedRun.of("one", tiny(), [{"step": 1, "loss": 0.1}])
