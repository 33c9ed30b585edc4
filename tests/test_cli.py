"""The command line as a process: quick, quiet, and honest in its exit codes."""

import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import uformer
from tests.networks import TINY, build
from uformer.cli import COMMANDS, main
from uformer.errors import OptionError
from uformer.image.image import Image
from uformer.image.write import write
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.weights import checkpoint


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "uformer", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_version() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, uformer.__version__, "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("restore none.png 2>&-", ""),
        ("restore - <&-", "uformer: error: -: standard input is closed\n"),
        ("restore examples/night.png -o - >&-", "uformer: error: -: standard output is closed\n"),
        ("models <&- >&-", ""),
    ],
)
def test_closed_streams(arguments: str, error: str) -> None:
    command = f"exec {shlex.quote(sys.executable)} -m uformer {arguments}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr) == ("", error)


@pytest.mark.slow  # how fast it is depends on the machine; test_starting_loads_nothing_heavy does not
def test_help_takes_less_than_a_third_of_a_second() -> None:
    def seconds() -> float:
        """Processor time, which other programs hardly affect."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert call("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_ctrl_c_while_the_command_line_is_imported_is_silent(tmp_path: Path) -> None:
    (tmp_path / "cyclopts.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"
    )
    for program in (
        ["-m", "uformer"],
        ["-c", "import sys; from uformer.__main__ import main; sys.exit(main())"],
    ):
        path = os.pathsep.join([str(tmp_path), str(Path(uformer.__file__).parents[1])])
        command = [sys.executable, *program]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"PYTHONPATH": path},
        )
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_little_is_imported_before_ctrl_c_is_taken() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import uformer.__main__; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code, str(Path(uformer.__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert not {"typing", "re", "contextlib", "importlib", "warnings"} & set(done.stdout.split())


HEAVY = {"numpy", "pyvips", "openvino", "onnxruntime", "torch", "psutil", "safetensors", "rich.progress"}
OF_OTHERS = {
    "torch",
    "matplotlib",
    "scipy",
    "PIL",
    "cv2",
    "h5py",
    "onnx",
    "fastapi",
    "skimage",
    "yaml",
    "rich",
    "asyncio",
    "http",
    "prometheus_client",
    "tifffile",
}


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command has loaded by its end."""
    run = f"import json, sys; from uformer.cli import main; assert not main({arguments!r})"
    code = f"{run}; print(json.dumps([*sys.modules]), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_starting_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    assert not HEAVY & loaded
    assert len(loaded) < 300


def test_restoring_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "tiny.safetensors", build(TINY))
    write(Image(pixels=np.full((16, 16, 3), 0.5, np.float32)), tmp_path / "a.png")
    loaded = loaded_by(
        "restore", str(tmp_path / "a.png"), "--weights", str(tmp_path / "tiny.safetensors"), "--device", "cpu"
    )
    assert (tmp_path / "a.restored.png").exists()
    assert "openvino" in loaded
    assert not OF_OTHERS & loaded


def test_help_names_every_command() -> None:
    done = call("--help")
    assert done.returncode == 0
    for name, (_, summary) in COMMANDS.items():
        assert name in done.stdout
        assert summary.split()[0] in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["restore", "a.png", "--tile", "100.7"], "--tile: '100.7' is not a whole number"),
        (["restore", "a.png", "--strength", "nan"], "--strength: 'nan' is not a number"),
        (["serve", "--port", "80.5"], "--port: '80.5' is not a whole number"),
        (["serve", "--keep", "inf"], "--keep: 'inf' is not a number"),
        (["degrade", "a.png", "b.png", "--seed", "1.5"], "--seed: '1.5' is not a whole number"),
        (["eval", "sidd", "--limit", "2.5"], "--limit: '2.5' is not a whole number"),
    ],
)
def test_a_number_of_an_option_is_not_rounded(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_installed_command_begins_there_too() -> None:
    scripts = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]["scripts"]
    assert scripts == {"uformer": "uformer.__main__:main"}


@pytest.mark.parametrize(
    "arguments",
    [["degrade", "a.png", "b.png", "c.png", "d e.png"], ["train", "debug", "--set", "batch", "4"]],
)
def test_words_too_many_are_named(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    extra = {"degrade": "c.png 'd e.png'", "train": "4"}[arguments[0]]
    assert (
        capsys.readouterr().err
        == f"uformer: error: unexpected arguments: {extra}; see uformer {arguments[0]} --help\n"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Usage:" in out
    assert not {"[default: False]", "[default: None]", "[default: ()]"} & set(
        re.findall(r"\[default: .*?\]", out)
    )
    assert "[default: denoise]" in out or "--task" not in out or name == "degrade"


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


@pytest.mark.parametrize(
    "arguments",
    [
        ["restore", "--strenght", "1", "a.png"],
        ["restore", "a.png", "--strenght=1"],
        ["eval", "--strenght", "1"],
    ],
)
def test_an_unknown_option_is_named_with_the_one_that_may_be_meant(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = f"unknown option --strenght; did you mean --strength? see uformer {arguments[0]} --help"
    assert capsys.readouterr().err == f"uformer: error: {error}\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["info"], "NAME is missing; see uformer info --help"),
        (["convert", "a.pth"], "OUTPUT is missing; see uformer convert --help"),
        (["restore", "a.png", "--tile"], "--tile needs a value; see uformer restore --help"),
        (["restore", "a.png", "-x"], "unknown option -x; see uformer restore --help"),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"uformer: error: {error}\n"


def test_help_has_the_commands_in_the_order_of_use() -> None:
    out = call("--help").stdout
    assert sorted(COMMANDS, key=lambda name: out.index(f"│ {name} ")) == [*COMMANDS]


def test_a_file_alone_is_restored(capsys: pytest.CaptureFixture[str]) -> None:
    """The command is left out: `uformer photo.jpg`. A word that is no file is an unknown command."""
    assert main(["missing.jpg"]) == 1
    assert capsys.readouterr().err == "uformer: error: missing.jpg: No such file or directory\n"
    assert main(["unknown"]) == 2
    assert "nknown command" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["strength", "luma", "chroma", "detail", "grain", "shadows"])
@pytest.mark.parametrize(("text", "expected"), [("60%", 0.6), ("0.6", 0.6), ("100%", 1.0)])
def test_controls_may_be_percentages(
    option: str, text: str, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Image(pixels=np.zeros((8, 8, 1), np.float32)), tmp_path / "a.png")
    seen: list[float] = []

    def stop(options: RestoreOptions, **_: object) -> Restorer:
        seen.append(getattr(options, option))
        raise OptionError("seen")

    monkeypatch.setattr(Restorer, "from_options", stop)
    assert main(["restore", str(tmp_path / "a.png"), f"--{option}", text]) == 2
    assert seen == [pytest.approx(expected)]


@pytest.mark.parametrize("text", ["120%", "x%", "%"])
def test_a_wrong_strength_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "a.png", "--strength", text]) == 2
    assert "strength" in capsys.readouterr().err


def test_help_begins_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert said.index("uformer photo.jpg") < said.index("uformer serve") < said.index("Commands")
