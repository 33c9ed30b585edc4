"""IPTC records (IIM 4.2), and the Photoshop image resources that carry them in JPEG files.

`Metadata.iptc` is the payload of a JPEG's APP13 segment: "Photoshop 3.0", then resources, one of which holds
the records. A TIFF file holds the bare records.
"""

import struct
from collections.abc import Container, Iterator

_MARK = b"Photoshop 3.0\0"
_RECORDS = 0x0404
_APPLICATION = 2  # the record that describes the image


def wrapped(records: bytes) -> bytes:
    """The APP13 payload for bare records."""
    return (
        _MARK + struct.pack(">4sHHI", b"8BIM", _RECORDS, 0, len(records)) + records + bytes(len(records) % 2)
    )


def records(payload: bytes) -> bytes | None:
    """The bare records of an APP13 payload; None if it has none."""
    position = len(_MARK)
    while (
        payload.startswith(_MARK)
        and position + 12 <= len(payload)
        and payload[position : position + 4] == b"8BIM"
    ):
        number, name_length = struct.unpack_from(">HB", payload, position + 4)
        position += 6 + (name_length + 2) // 2 * 2
        size = int.from_bytes(payload[position : position + 4], "big")
        position += 4
        if number == _RECORDS:
            return payload[position : position + size] or None
        position += size + size % 2
    return None


def selected(payload: bytes, keep: Container[int]) -> bytes | None:
    """An APP13 payload with only these data sets of the application record; None if none of them exists."""
    kept = b"".join(
        whole
        for record, number, whole in _data_sets(records(payload) or b"")
        if record == _APPLICATION and number in keep
    )
    return wrapped(kept) if kept else None


def _data_sets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Record, number and all bytes of each data set, up to the first that is malformed or exceeds 32 kB."""
    position = 0
    while position + 5 <= len(data) and data[position] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", data, position + 1)
        end = position + 5 + size
        if size > 0x7FFF or end > len(data):
            return
        yield record, number, data[position:end]
        position = end
