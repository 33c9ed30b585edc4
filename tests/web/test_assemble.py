"""The files of the static site."""

import gzip
import json
from pathlib import Path

import pytest

from tests.web.conftest import stand_ins
from uformer.errors import OptionError
from uformer.web.assemble import check_folder, write_site


def listed(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_site_is_complete_and_lists_its_files(site: Path) -> None:
    files = listed(site / "site")
    facts = json.loads(files["site.json"])
    assert [model["task"] for model in facts["models"]] == ["denoise", "derain", "deblur"]
    packed = {facts["runtime"]["binary"], *(model["file"] for model in facts["models"])}
    assert facts["packed"] == {name: [len(files[name]), len(gzip.decompress(files[name]))] for name in packed}
    head, _, _ = files["service-worker.js"].partition(b"\n")
    stored = json.loads(head.removeprefix(b"const SITE = ").removesuffix(b";"))
    assert {*stored["small"], *stored["large"]} == files.keys() - {
        "index.html",
        "service-worker.js",
        ".nojekyll",
    } | {"./"}
    assert all(name.startswith(("models/", "runtime/")) for name in stored["large"])
    page = files["index.html"].decode()
    assert '<link rel="manifest" href="site.webmanifest">' in page
    assert 'src="/' not in page
    assert 'href="/' not in page
    assert b"service-worker.js" in files["page/engine.js"]
    assert not {"page/http.js", "page/docs.html", "page/docs.js"} & files.keys()
    script = f"{facts['runtime']['folder']}/ort.webgpu.min.mjs"
    assert b"sourceMappingURL" not in files[script]


def test_the_names_follow_the_contents(site: Path, tmp_path: Path) -> None:
    models, runtime = stand_ins()
    write_site(tmp_path / "same", models, runtime)
    assert listed(tmp_path / "same") == listed(site / "site")
    write_site(tmp_path / "other", models, {name: data + b"//\n" for name, data in runtime.items()})
    changed = listed(tmp_path / "other").keys() ^ listed(site / "site").keys()
    assert len(changed) == 6
    assert all(name.startswith("runtime/") for name in changed)


def test_only_a_site_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    check_folder(out, overwrite=False)  # empty
    (out / "index.html").write_text("mine")
    with pytest.raises(OptionError, match="is not empty; add --overwrite"):
        check_folder(out, overwrite=False)
    with pytest.raises(OptionError, match=r"holds no site\.json, so it is not a site"):
        check_folder(out, overwrite=True)
    (out / "index.html").unlink()
    write_site(out, *stand_ins())
    (out / "page" / "old.js").write_text("old")
    check_folder(out, overwrite=True)
    (out / ".git").mkdir()
    with pytest.raises(OptionError, match=r"holds \.git, so it is not a site"):
        check_folder(out, overwrite=True)
    (out / ".git").rmdir()
    write_site(out, *stand_ins())
    assert not (out / "page" / "old.js").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(OptionError, match="is a file; give a folder"):
        check_folder(out / "index.html", overwrite=True)


def test_a_failed_write_leaves_the_old_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write_site(out, *stand_ins())
    before = listed(out)
    models, runtime = stand_ins()
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name.endswith(".onnx.gz"):
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_site(out, models, runtime)
    assert listed(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
