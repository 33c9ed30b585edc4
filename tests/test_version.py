import importlib.metadata
from pathlib import Path

import uformer
from uformer.version import __version__


def test_version_is_written_once() -> None:
    assert uformer.__version__ == importlib.metadata.version("uformer") == __version__
    citation = (Path(__file__).parents[1] / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
