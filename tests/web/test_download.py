"""The page downloads compressed files and unpacks them."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import encoded, in_node, needs_node

DATA = bytes(range(256)) * 40
PACKED = gzip.compress(DATA)
DOWNLOAD = """
const { Network } = await import("./network.js");
globalThis.fetch = async () => {
  if (given.offline) throw new TypeError("offline");
  return new Response(bytes(given.sent), { status: given.status });
};
const network = new Network(new URL("./", import.meta.url), { packed: { network: given.sizes } }, "");
const shares = [];
try {
  const data = await network.download("network", (share) => shares.push(share));
  answer([text(data), shares.at(-1)]);
} catch ({ type, detail }) {
  answer([type, detail]);
}
"""


def download(folder: Path, sent: bytes, **more: object) -> list[Any]:
    values = {"sent": encoded(sent), "sizes": [len(PACKED), len(DATA)], "status": 200, **more}
    found: list[Any] = in_node(folder, DOWNLOAD, values)
    return found


@needs_node
@pytest.mark.parametrize("sent", [PACKED, DATA], ids=["as it lies on the site", "unpacked by the browser"])
def test_a_file_is_unpacked_once(tmp_path: Path, sent: bytes) -> None:
    assert download(tmp_path, sent) == [encoded(DATA), 1]


@needs_node
@pytest.mark.parametrize("sent", [PACKED[:-9], PACKED[:1], b"", DATA[:-1], gzip.compress(DATA + b"x")])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, sent: bytes) -> None:
    problem = ["urn:uformer:not-ready", "network: the download is incomplete; reload the page"]
    assert download(tmp_path, sent) == problem


@needs_node
def test_a_site_that_does_not_answer(tmp_path: Path) -> None:
    assert download(tmp_path, b"", offline=True) == [
        "urn:uformer:unreachable",
        "the network cannot be downloaded, and it is not stored here yet",
    ]
    assert download(tmp_path, b"", status=404) == [
        "urn:uformer:not-ready",
        "network: the site responds with status 404",
    ]
