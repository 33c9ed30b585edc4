"""The notebooks: their code uses only what is public, and runs (as committed: slow)."""

import ast
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import uformer
from tests.train.several import without_what_is_shown
from uformer.cli import main

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
MINUTES = 10
"""The longest that a notebook may take on a busy machine."""


def code_of(path: Path) -> list[str]:
    """Return the code cells, with commands of the shell (`!`) replaced by their interpreted parts."""
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def python_of(code: str) -> str:
    """Return a cell without its shell commands."""
    kept: list[str] = []
    in_command = False
    for line in code.splitlines():
        in_command = in_command or line.startswith("!")
        if not in_command:
            kept.append(line)
        in_command = in_command and line.endswith("\\")
    return "\n".join(kept)


def test_there_are_notebooks() -> None:
    assert {path.name for path in NOTEBOOKS} == {"microscopy.ipynb", "uformer.ipynb"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_shows_images_and_uses_public_names_only(path: Path) -> None:
    assert path.stat().st_size < 500_000
    text = path.read_text(encoding="utf-8")
    assert '"image/png"' in text
    assert '"output_type": "error"' not in text
    used: set[str] = set()
    for code in code_of(path):
        for node in ast.walk(ast.parse(python_of(code))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "uformer"
            ):
                used.add(node.attr)
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] != "uformer", (
                    f"{path.name}: import uformer itself"
                )
    assert used
    assert used <= set(uformer.__all__)


def commands_of(code: str, names: dict[str, Any]) -> list[list[str]]:
    """Return the words of the shell commands in a cell, with the values of `{expressions}` put in."""
    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.startswith("!")]
    filled = [re.sub(r"\{(.+?)\}", lambda found: str(eval(found[1], names)), line[1:]) for line in lines]  # noqa: S307
    return [shlex.split(line.removesuffix("2>&1 | cat")) for line in filled]


def test_the_tour_runs_with_one_step_of_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All cells but the export, in this process, because a kernel needs packages that CI does not install."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: pyplot.close("all"))
    monkeypatch.setenv("STEPS", "1")
    monkeypatch.setattr("uformer.train.report.forecast", lambda prepared, learner: "not measured")  # 4 s
    without_what_is_shown(monkeypatch.setattr)
    monkeypatch.chdir(ROOT / "examples")
    names: dict[str, Any] = {}
    cells = code_of(ROOT / "examples" / "uformer.ipynb")
    export = next(index for index, code in enumerate(cells) if "uformer export" in code)
    for code in cells[:export]:  # tests/export exports, which takes long
        exec(compile(python_of(code), "uformer.ipynb", "exec"), names)  # noqa: S102
        for words in commands_of(code, names):
            assert words[:3] == [sys.executable, "-m", "uformer"]
            assert main(words[3:]) == 0
    shutil.rmtree(names["folder"])
    printed = capsys.readouterr()
    assert "1 step" in printed.out
    assert "fine tuned" in printed.out


def test_the_outputs_of_the_tour_show_what_its_text_says() -> None:
    """The bundled weights leave much of the grain, fine-tuning removes it, and has its price."""
    text = (ROOT / "examples" / "uformer.ipynb").read_text(encoding="utf-8")
    scan, bundled, tuned = (
        [float(found) for found in re.findall(rf"{name} +(\d+\.\d+) dB", text)]
        for name in ("scan", "bundled weights", "fine tuned")
    )
    assert bundled[0] < scan[0] + 3
    assert tuned[0] > bundled[0] + 3
    assert tuned[-1] < bundled[-1], "it has forgotten some of what it knew"


@pytest.mark.slow
@pytest.mark.timeout(60 * MINUTES)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason='needs pip install ".[notebook]"')
    nbclient = pytest.importorskip("nbclient", reason='needs pip install ".[notebook]"')
    pytest.importorskip("ipykernel", reason='needs pip install ".[notebook]"')
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=60 * MINUTES, resources={"metadata": {"path": str(ROOT / "examples")}}
    )
    client.execute()
    printed = [
        output["text"] for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    ]
    assert any(" dB" in text for text in printed)
