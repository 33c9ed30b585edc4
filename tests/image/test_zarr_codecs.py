from typing import Any

import pytest

from uformer.image.zarr_codecs import refused_codec


@pytest.mark.parametrize(
    ("document", "refused"),
    [
        ({}, None),
        ({"compressor": {"id": "blosc"}, "filters": None}, None),
        ({"compressor": None, "filters": [{"id": "delta"}, {"id": "pickle"}]}, "pickle"),
        ({"codecs": ["bytes", {"name": "numcodecs.zlib"}]}, None),
        (
            {"codecs": [{"name": "sharding_indexed", "configuration": {"codecs": [{"name": "vlen-bytes"}]}}]},
            "vlen-bytes",
        ),
        ({"codecs": [{"name": "zstd", "configuration": {"index_codecs": [3]}}]}, "3"),
    ],
)
def test_only_codecs_that_are_known(document: dict[str, Any], refused: str | None) -> None:
    assert refused_codec(document) == refused
