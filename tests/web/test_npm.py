"""The release of onnxruntime-web: its checksum, and what the user reads if it cannot be fetched."""

import base64
import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from uformer.errors import OptionError
from uformer.web.npm import Release, archive_of, files_in


def archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as package:
        entry = tarfile.TarInfo("package/dist/a.mjs")
        entry.size = 5
        package.addfile(entry, io.BytesIO(b"hello"))
    return file.getvalue()


@pytest.fixture
def release() -> Release:
    integrity = base64.b64encode(hashlib.sha512(ARCHIVE).digest()).decode()
    return Release(name="thing", version="1.2.3", integrity=integrity)


ARCHIVE = archive()


def test_a_file_is_verified(tmp_path: Path, release: Release) -> None:
    file = tmp_path / "thing.tgz"
    file.write_bytes(ARCHIVE)
    assert files_in(archive_of(release, file), ["dist/a.mjs"]) == {"dist/a.mjs": b"hello"}
    file.write_bytes(ARCHIVE + b"x")
    with pytest.raises(
        OptionError, match=r"thing\.tgz: is not the archive of thing 1\.2\.3.*npm pack thing@1"
    ):
        archive_of(release, file)
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        archive_of(release, tmp_path / "missing.tgz")


def test_the_registry_is_asked_once_and_verified(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    body = [ARCHIVE]

    def urlopen(address: str, **_: Any) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(body[0])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    assert archive_of(release) == ARCHIVE
    assert asked == ["https://registry.npmjs.org/thing/-/thing-1.2.3.tgz"]
    body[0] = b"<html>a proxy's page</html>"
    with pytest.raises(OptionError, match="its SHA-512 differs"):
        archive_of(release)


def test_without_a_network_the_error_says_what_to_do(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urlopen(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(
        OptionError, match=r"no route to host; .* npm pack thing@1\.2\.3, and give .* --runtime"
    ):
        archive_of(release)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(OptionError, match=r"lacks dist/b\.mjs"):
        files_in(ARCHIVE, ["dist/a.mjs", "dist/b.mjs"])
