"""Decodes one image for `external`. Run as `python -m uformer.image.external_process heic|raw`.

Standard input starts with the number of encoded bytes (8 bytes), followed by these bytes. The header is
written to standard output as JSON, preceded by its length (8 bytes). One more byte on standard input requests
the pixels: their shape and type are written as another JSON text, followed by the samples. An error is a JSON
text with the key "error".
"""

import base64
import json
import os
import sys
from typing import IO, Any

import numpy as np

from uformer.image.develop import Raw
from uformer.image.heic import Heic

_DECODERS: dict[str, type[Heic | Raw]] = {"heic": Heic, "raw": Raw}


def main(kind: str) -> None:
    """Serve one image; `kind` is heic or raw."""
    # Libraries may print to descriptor 1, so the answers use a copy, and descriptor 1 becomes standard error.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    data = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "little"))
    try:
        decoder = _DECODERS[kind](data)
        _answer(out, decoder.header())
        if not sys.stdin.buffer.read(1):
            return
        samples = decoder.pixels()
    except (MemoryError, ValueError) as error:
        _answer(
            out, {"error": "it does not fit into memory" if isinstance(error, MemoryError) else str(error)}
        )
        return
    _answer(out, {"shape": samples.shape, "type": samples.dtype.name})
    out.write(np.ascontiguousarray(samples).data)
    out.flush()


def _answer(out: IO[bytes], value: dict[str, Any]) -> None:
    """Write a JSON text, with bytes in base64, preceded by its length."""
    coded = {
        key: base64.b64encode(each).decode() if isinstance(each, bytes) else each
        for key, each in value.items()
    }
    text = json.dumps(coded).encode()
    out.write(len(text).to_bytes(8, "little") + text)
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
