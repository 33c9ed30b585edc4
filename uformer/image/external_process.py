"""The process in which `external` has an image decoded: `python -m uformer.image.external_process heic|raw`.

The encoded bytes come on standard input: their number (8 bytes), then themselves. The header goes to standard
output as JSON, its length (8 bytes) first. A further byte on standard input asks for the pixels: their shape
and type go out as another JSON text, then their bytes. An error is a JSON text with the key "error".
"""

import base64
import json
import os
import sys
from typing import IO, Any

from uformer.image.develop import Raw
from uformer.image.heic import Heic

_DECODERS: dict[str, type[Heic | Raw]] = {"heic": Heic, "raw": Raw}


def main(kind: str) -> None:
    """Answer one `external.External`."""
    # Libraries print to descriptor 1 as they like; the answers go where they cannot.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    data = sys.stdin.buffer.read(int.from_bytes(sys.stdin.buffer.read(8), "little"))
    try:
        decoder = _DECODERS[kind](data)
        _say(out, decoder.header())
        if not sys.stdin.buffer.read(1):
            return
        samples = decoder.pixels()
    except (MemoryError, ValueError) as error:
        _say(out, {"error": "it does not fit into memory" if isinstance(error, MemoryError) else str(error)})
        return
    _say(out, {"shape": samples.shape, "type": samples.dtype.name})
    for row in samples:
        out.write(row.tobytes())
    out.flush()


def _say(out: IO[bytes], value: dict[str, Any]) -> None:
    coded = {
        key: base64.b64encode(each).decode() if isinstance(each, bytes) else each
        for key, each in value.items()
    }
    text = json.dumps(coded).encode()
    out.write(len(text).to_bytes(8, "little") + text)
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
