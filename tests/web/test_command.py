"""The command `uformer web`."""

from pathlib import Path

import pytest

from tests.web.conftest import stand_ins
from uformer.cli import main
from uformer.errors import OptionError
from uformer.export import browser
from uformer.web import command, npm


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the exports and the download by stand-ins."""
    models, runtime = stand_ins()
    by_name = {f"uformer_t.{model.task}": model for model in models}
    monkeypatch.setattr(command, "_model", lambda name: by_name[name])
    monkeypatch.setattr(npm, "archive_of", lambda release, file: b"")
    monkeypatch.setattr(npm, "files_in", lambda archive, names: runtime)


@pytest.mark.usefixtures("_quick")
def test_it_writes_the_site_and_says_how_to_look_at_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "site"
    assert main(["web", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{out}: ")
    assert printed[0].endswith(" MB, onnxruntime-web 1.30.0")
    assert f"-m http.server --directory {out}" in printed[1]
    assert (out / "index.html").exists()
    assert main(["web", str(out)]) == 2
    assert "is not empty; add --overwrite" in capsys.readouterr().err
    assert main(["web", str(out), "--overwrite"]) == 0


def test_a_missing_package_is_named_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def require(module: str, extra: str) -> None:
        raise OptionError(f'{module} is not installed; run: pip install "uformer[{extra}]"')

    monkeypatch.setattr(browser, "require", require)
    monkeypatch.setattr(npm, "archive_of", lambda *_: pytest.fail("downloaded"))
    assert main(["web", str(tmp_path / "site")]) == 2
    assert (
        capsys.readouterr().err
        == 'uformer: error: torch is not installed; run: pip install "uformer[export]"\n'
    )
    assert not (tmp_path / "site").exists()
