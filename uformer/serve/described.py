"""What the OpenAPI document says about bodies, restored images and jobs."""

from typing import Any

from uformer.serve.jobs import FINISHED
from uformer.serve.upload import FIELD, MASK, MEDIA_TYPES, UPLOAD_TYPES

_FILE = {"type": "string", "format": "binary"}
_BINARY = {"schema": _FILE}
_MASK_FILE = {
    **_FILE,
    "description": "A gray image with the size of the image, or the same ratio of width and height: white "
    "restores, black leaves the image as it is.",
}


def _body(needed: str, files: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a body: the image file of a field, or a form with several."""
    form = {"schema": {"type": "object", "required": [needed], "properties": files}}
    content = {**dict.fromkeys(UPLOAD_TYPES, _BINARY), "multipart/form-data": form}
    return {"requestBody": {"required": True, "content": content}}


BODY = _body(FIELD, {FIELD: _FILE, MASK: _MASK_FILE})
MASK_BODY = _body(MASK, {MASK: _MASK_FILE})
PICTURE: dict[str, Any] = {
    "description": "The restored image.",
    "content": dict.fromkeys(MEDIA_TYPES.values(), _BINARY),
}
_JOB_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state", "tiles_done", "tiles", "result"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": ["queued", "running", *FINISHED]},
        "ahead": {"type": "integer", "description": "Number of images ahead of this one in the queue."},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "format": {"type": "string", "description": "Format of the upload."},
        "depth": {
            "type": "integer",
            "description": "Bits per sample of the upload: 8, 16, or 32 for all other types.",
        },
        "pages": {
            "type": ["integer", "null"],
            "description": "Number of pages of a TIFF that is restored page by page; null for other images.",
        },
        "notes": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What happens to the image besides restoring.",
        },
        "range": {
            "type": ["array", "null"],
            "items": {"type": ["number", "array", "null"]},
            "description": "Lowest and highest value that the network sees as black and white, in the units "
            "of the upload; null for all that its bit depth can hold. For a stack of several channels with "
            "different ranges, a list with such a pair or null for each channel.",
        },
        "tiles_done": {"type": "integer"},
        "tiles": {
            "type": ["integer", "null"],
            "description": "Total number of tiles; null until the first one is done.",
        },
        "seconds": {"type": "number", "description": "Processing time so far, in seconds."},
        "eta_seconds": {"type": ["number", "null"]},
        "problem": {"type": ["object", "null"], "description": "Why the job failed."},
        "held": {
            "type": "boolean",
            "description": "Whether the result can have other controls without a new run.",
        },
        "not_held": {
            "type": ["string", "null"],
            "description": "Why it cannot, although `hold` asked for it.",
        },
        "result": {"type": "string", "description": "Path of the restored image, once the job is done."},
    },
}
JOB: dict[str, Any] = {"description": "The job.", "content": {"application/json": {"schema": _JOB_SCHEMA}}}
