"""docs/http-api.md and the Dockerfile agree with the code."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

from tests.serve.conftest import Build, levels, png, served
from tests.serve.test_stack_jobs import hyperstack
from uformer.serve.problems import REASONS
from uformer.serve.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def blocks(language: str, word: str) -> list[str]:
    return [
        block
        for block in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
        if word in block
    ]


def run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "urn:uformer" not in done.stdout


@pytest.mark.parametrize("block", [*blocks("bash", "curl "), *blocks("python", "urlopen")], ids=range(7))
def test_examples_run(block: str, build: Build, tmp_path: Path) -> None:
    if "curl " in block and shutil.which("curl") is None:
        pytest.skip("no curl")
    (tmp_path / "photo.jpg").write_bytes(png(64, 48, suffix="JPEG"))
    (tmp_path / "sky.png").write_bytes(png(64, 48, "L"))
    (tmp_path / "stack.tif").write_bytes(hyperstack(3, 8, 10))
    outputs = re.findall(r"clean\.\w+", block)
    with served(build()) as (_, port):
        text = block.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        run(
            ["bash", "-euo", "pipefail", "-c", text] if "curl " in block else [sys.executable, "-c", text],
            tmp_path,
        )
    for name in outputs:
        assert levels((tmp_path / name).read_bytes()).shape == (48, 64, 3)
    if "restored.tif" in block:
        assert tifffile.imread(tmp_path / "restored.tif").shape == (3, 8, 10)


def test_every_refusal_is_in_the_table() -> None:
    assert {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, flags=re.MULTILINE)} == set(REASONS)
    kinds = set(
        re.findall(
            r'Problem\(\s*\d{3}, "([\w-]+)"',
            "".join(path.read_text() for path in (ROOT / "uformer" / "serve").glob("*.py")),
        )
    )
    kinds |= set(
        re.findall(
            r'refused_as\(\d{3}, "([\w-]+)"',
            "".join(path.read_text() for path in (ROOT / "uformer" / "serve").glob("*.py")),
        )
    )
    assert {kind for kind in kinds if f"`{kind}`" not in PAGE} == set()


def test_every_setting_is_in_the_table() -> None:
    names = [name.replace("_", "-") for name in Settings.__dataclass_fields__]
    assert [name for name in names if f"`--{name}`" not in PAGE] == []
    settings = Settings()
    assert (settings.max_bytes, settings.max_pixels, settings.queue, settings.min_rate) == (
        128_000_000,
        50_000_000,
        8,
        4096,
    )
    assert (settings.timeout, settings.job_timeout, settings.keep, settings.max_kept, settings.grace) == (
        300,
        3600,
        600,
        512 * 2**20,
        8,
    )
    assert (settings.hold_memory, settings.root_path) == ("25%", "")


def test_the_image_holds_what_it_copies_and_no_rights() -> None:
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE)
        for name in line.split()
    ]
    assert copied
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name
    assert re.search(r"^VOLUME (\S+)$", DOCKERFILE, flags=re.MULTILINE)[1] in PAGE  # type: ignore[index]
    assert "UFORMER_CACHE=/var/cache/uformer" in DOCKERFILE
    (module,) = re.findall(r'^HEALTHCHECK .*"-m", "([\w.]+)"\]$', DOCKERFILE, flags=re.MULTILINE)
    assert importlib.util.find_spec(module)
    assert re.search(r"^USER 10001$", DOCKERFILE, flags=re.MULTILINE)
    assert DOCKERFILE.index("USER 10001") > DOCKERFILE.rindex("RUN ")


def test_the_images_command_is_one(tmp_path: Path) -> None:
    found = re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)
    assert found
    _, *arguments = re.findall(r'"([^"]*)"', found[1])
    environment = {name: value for name, value in os.environ.items() if name != "UFORMER_TOKEN"}
    command = [sys.executable, "-m", "uformer", *arguments]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, "the server starts without a token"
    assert "--insecure" in done.stderr
