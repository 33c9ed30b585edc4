"""Run the commands that the README and the docs show.

They run in this process, which has loaded the libraries already. .ci/run runs the README's first command in a
process, word for word.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from tests.train.several import without_what_is_shown
from uformer.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_spec = importlib.util.spec_from_file_location("readme_command", ROOT / ".ci" / "readme_command.py")
assert _spec is not None
assert _spec.loader is not None
readme_command = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(readme_command)

COMMANDS: dict[str, str] = readme_command.blocks(README)


SERVE = "uformer serve"
TINY = (
    "steps=2",
    "batch=2",
    "patch=32",
    "network.embed_dim=4",
    f"network.depths={','.join('1' * 9)}",
    "held_out=0",
)
TINY_RUN = [word for setting in TINY for word in ("--set", setting)]
"""Options that make a command from the README finish quickly."""


def fenced(language: str) -> list[str]:
    """The README's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def uformer_lines() -> list[str]:
    """Every `uformer ...` command in a bash block of the README."""
    return [
        part.strip()
        for block in fenced("bash")
        for line in re.split(r"&&|\n", block)
        if (part := line.strip()).startswith("uformer ")
    ]


def green(path: Path) -> NDArray[np.float32]:
    """The green channel of an image, (H, W), on the 0-255 scale."""
    pixels: NDArray[np.float32] = (
        pyvips.Image.new_from_file(str(path)).colourspace("srgb")[1].numpy().astype(np.float32)
    )
    return pixels


def noise_level(pixels: NDArray[np.float32]) -> float:
    """Standard deviation of white noise, from 2 x 2 differences, which cancel smooth content."""
    differences = (pixels[:-1, :-1] - pixels[1:, :-1] - pixels[:-1, 1:] + pixels[1:, 1:]) / 2
    return float(np.median(np.abs(differences)) / 0.6745)


def coarse(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The averages of 8 x 8 pixel blocks, flattened."""
    height, width = (side // 8 * 8 for side in pixels.shape)
    return pixels[:height, :width].reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)).ravel()


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with the examples, a small photo.jpg, a copy in photos/, and training pairs in mine/."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    picture = pyvips.Image.new_from_file(str(example()))
    picture.crop(0, 0, min(96, picture.width), min(64, picture.height)).jpegsave(str(tmp_path / "photo.jpg"))
    (tmp_path / "photos").mkdir()
    shutil.copy(tmp_path / "photo.jpg", tmp_path / "photos" / "a.jpg")
    for folder, name in (("degraded", "night.png"), ("clean", "night.clean.png")):
        (tmp_path / "mine" / folder).mkdir(parents=True)
        shutil.copy(ROOT / "examples" / name, tmp_path / "mine" / folder / "night.png")
    return tmp_path


def example() -> Path:
    """The image that the README's first command restores."""
    found = re.search(r"uformer restore (\S+)", COMMANDS["restore"])
    assert found
    return ROOT / found[1]


def run(command: list[str], folder: Path) -> None:
    """Run a command from this environment in a folder, and assert that it succeeds."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"


def test_two_commands() -> None:
    assert list(COMMANDS) == ["restore", "test"]
    assert "pip install" in COMMANDS["restore"]
    assert "torch" not in COMMANDS["restore"]
    assert "pytest" in COMMANDS["test"]


def test_extraction_takes_a_block_whole_and_no_other() -> None:
    other = "```bash\nno\n```\n"
    one = "<!-- command: one -->\n```bash\na\nb\n```\n"
    two = "<!-- command: two -->\n\n```bash\nc && d\n```\n"
    text = other + one + "then\n\n" + two + other
    assert readme_command.blocks(text) == {"one": "a\nb\n", "two": "c && d\n"}


@pytest.mark.slow  # tests/restore/test_shipped.py restores a part of the same image
def test_restore_command_gives_a_cleaner_picture(workplace: Path) -> None:
    line = re.search(r"uformer restore .*", COMMANDS["restore"])
    assert line
    *_, output = command = line[0].split()
    run(command, workplace)
    degraded, restored = green(example()), green(workplace / output)
    assert degraded.shape == restored.shape
    assert noise_level(restored) < 0.5 * noise_level(degraded)
    assert np.corrcoef(coarse(degraded), coarse(restored))[0, 1] > 0.95, "it is no longer the same picture"


@pytest.mark.parametrize(
    "line", [line for line in uformer_lines() if "examples/" not in line and line != SERVE]
)
def test_command_line_runs(line: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    without_what_is_shown(monkeypatch.setattr)
    words = line.split()[1:]
    assert main(words + (TINY_RUN if line.startswith("uformer train") and "--data" in line else [])) == 0
    if line == "uformer restore photo.jpg":
        assert (workplace / "photo.restored.jpg").exists()
    if line == "uformer restore photos":
        assert (workplace / "photos.restored" / "a.jpg").exists()


def test_the_server_is_named() -> None:
    """The server runs until stopped; tests/serve/test_command.py tests it."""
    assert SERVE in uformer_lines()


@pytest.mark.parametrize("snippet", fenced("python"), ids=range(len(fenced("python"))))
def test_python_runs(snippet: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    exec(snippet.replace("(480, 640, 3)", "(48, 64, 3)"), {})  # noqa: S102 - the README's own code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_names_what_exists() -> None:
    from uformer.config import VARIANTS

    named = re.findall(r"`(uformer_\w+)`", README)
    assert named
    assert set(named) <= set(VARIANTS)
