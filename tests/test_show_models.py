"""`uformer models` lists the contents of the registry."""

import pytest

from uformer.config import VARIANTS
from uformer.show_models import models
from uformer.weights.registry import WEIGHTS


def test_every_network_and_all_weights_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    models()
    out = capsys.readouterr().out
    for name in [*VARIANTS, *WEIGHTS]:
        assert name in out
