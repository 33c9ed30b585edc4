"""The command line as a process: quick, quiet, and honest in its exit codes."""

import subprocess
import sys

import pytest

import uformer
from uformer.cli import COMMANDS, main


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "uformer", *arguments], capture_output=True, text=True, check=False, timeout=120)


def test_version() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, uformer.__version__, "")


def test_help_names_every_command() -> None:
    done = call("--help")
    assert done.returncode == 0
    for name, (_, summary) in COMMANDS.items():
        assert name in done.stdout
        assert summary.split()[0] in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["frobnicate"], ["--frobnicate"], ["info"], ["info", "uformer_x"]])
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("uformer: error: ")
    assert err.count("\n") == 1


def test_models_lists_networks_and_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "uformer_b" in out
    assert "50.88 M" in out
    assert "uformer_t.denoise" in out
