"""The codecs of Zarr that may decode a file. Others could run code (pickle) or are not known."""

from collections.abc import Iterator
from typing import Any

_KNOWN = {
    *("bytes", "transpose", "sharding_indexed", "crc32c", "crc32", "adler32", "fletcher32"),
    *("blosc", "zstd", "gzip", "zlib", "bz2", "lz4", "lzma", "shuffle", "bitround", "packbits"),
    *("delta", "fixedscaleoffset", "quantize", "astype"),
}


def refused_codec(document: dict[str, Any]) -> str | None:
    """Return the name of the first codec of an array that is not known; None if all are.

    `document`: the content of .zarray or zarr.json.
    """
    return next((name for name in _named(document) if name.removeprefix("numcodecs.") not in _KNOWN), None)


def _named(document: dict[str, Any]) -> Iterator[str]:
    """Yield the names of all codecs of an array, also those inside others."""
    listed = [document.get("compressor"), *(document.get("filters") or [])]
    listed += [*(document.get("codecs") or []), *(document.get("index_codecs") or [])]
    for codec in listed:
        if codec is None:
            continue
        if isinstance(codec, str):  # format 3 allows the name alone
            yield codec
            continue
        yield str(codec.get("id", codec.get("name"))) if isinstance(codec, dict) else str(codec)
        if isinstance(codec, dict) and isinstance(codec.get("configuration"), dict):
            yield from _named(codec["configuration"])
