"""The networks in timm's registry. CI has no timm; these tests run where it is installed."""

import sys

import pytest
import torch

import uformer
from uformer.config import VARIANTS
from uformer.errors import OptionError
from uformer.weights.create import create_model, list_models


def test_without_timm_one_line_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("timm", "timm.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        OptionError, match=r'^timm.models is not installed; run: pip install "uformer\[timm\]"'
    ):
        uformer.register_with_timm()


def test_timm_creates_and_lists() -> None:
    timm = pytest.importorskip("timm")
    uformer.register_with_timm()
    uformer.register_with_timm()
    wanted = create_model("uformer_t.denoise").state_dict()
    for name in ("uformer_t", "uformer_t.denoise"):
        model = timm.create_model(name, pretrained=True)
        assert all(torch.equal(value, wanted[key]) for key, value in model.state_dict().items())
        assert model.pretrained_cfg["tag"] == "denoise"
    assert set(timm.list_models("uformer_*")) == set(VARIANTS)
    assert set(timm.list_models("uformer_*", pretrained=True)) == set(list_models(pretrained=True))
    assert timm.create_model("uformer_t", in_chans=1, drop_path_rate=0.2).config.in_channels == 1
    assert timm.create_model("uformer_t.deblur", pretrained=True, in_chans=1).config.out_channels == 1
    data = timm.data.resolve_model_data_config(timm.create_model("uformer_t.derain"))
    assert (data["mean"], data["std"]) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    with pytest.raises(OptionError, match="takes weights by name only"):
        timm.create_model("uformer_t", pretrained=True, pretrained_cfg={"file": "x.bin"})
