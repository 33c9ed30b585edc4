"""The table of protocols is complete and consistent."""

import re

import pytest

from uformer.errors import OptionError
from uformer.evaluate.protocols import PROTOCOLS, Protocol, Scoring, find

EACH = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)


def test_the_papers_own_numbers_are_there() -> None:
    own = {
        name: [each.psnr for each in protocol.published if "Uformer-B" in each.method]
        for name, protocol in PROTOCOLS.items()
    }
    expected = {
        "sidd": 39.89,
        "dnd": 40.04,
        "gopro": 33.06,
        "hide": 30.90,
        "realblur-r": 36.19,
        "realblur-j": 29.09,
    }
    expected |= {"dpdd": 26.28, "spad": 47.84}
    assert {name: psnrs[0] for name, psnrs in own.items() if psnrs} == expected


@EACH
def test_a_protocol_says_what_its_data_is_and_where(protocol: Protocol) -> None:
    assert protocol.place
    assert protocol.place in protocol.how_to_get()
    if protocol.count:
        assert protocol.dataset
        assert protocol.url.startswith("https://")
        assert protocol.url in protocol.how_to_get()
    assert (protocol.kind == "pairs") == bool(protocol.layouts)
    assert (protocol.kind == "noise") == bool(protocol.sigmas)
    for layout in protocol.layouts:
        re.compile(layout.differ)
        assert layout.degraded.count("*") <= 1
        assert layout.listing or layout.degraded.strip("*/").split("/")[0] in protocol.place


@EACH
def test_published_numbers_have_sources_and_rows(protocol: Protocol) -> None:
    rows = {f"sigma {sigma:g}" for sigma in protocol.sigmas} or {""}
    for published in protocol.published:
        assert published.source
        assert published.subset in rows
        assert 20 < published.psnr < 60
        assert published.ssim is None or 0 < published.ssim < 1


def test_submissions_say_how_much_is_whole() -> None:
    shapes = {name: protocol.shape for name, protocol in PROTOCOLS.items() if not protocol.scored}
    assert shapes == {"sidd-benchmark": (40, 32, 256), "dnd": (50, 20, 512)}
    for name, shape in shapes.items():
        assert shape
        assert shape[0] * shape[1] == PROTOCOLS[name].count
    assert (
        PROTOCOLS["sidd-benchmark"].submit_at
        == "https://www.kaggle.com/competitions/sidd-benchmark-srgb-psnr"
    )


@pytest.mark.parametrize("name", ["sidd", "sidd-benchmark", "dnd"])
def test_crops_that_the_authors_do_not_pad_say_so(name: str) -> None:
    assert "without padding" in PROTOCOLS[name].differs


def test_rain_is_scored_on_y_and_the_rest_on_rgb() -> None:
    assert {name for name, protocol in PROTOCOLS.items() if protocol.scoring.luma} == {
        "rain",
        "rain100l",
        "rain100h",
        "spad",
    }


def test_a_scoring_says_everything_it_does() -> None:
    assert Scoring().describe() == "RGB, restored rounded to 8 bits, no border"
    scoring = Scoring(luma=True, luma_rounded=True, rounded=False, border=4, aligned=True)
    assert scoring.describe() == "Y rounded to 8 bits, restored not rounded, border of 4 left out, aligned"
    assert Scoring(gray=True).describe() == "gray, restored rounded to 8 bits, no border"
    assert Scoring(luma=True).describe().startswith("Y, ")
    assert Scoring().describe(1) == Scoring().describe(3)
    assert Scoring().describe(5).startswith("5 channels, ")
    assert "L = 2" in Scoring(ssim_window="uniform", ssim_range=2).describe_ssim()
    assert "MATLAB" in Scoring(ssim_window="matlab").describe_ssim()


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    assert find("sidd").name == "sidd"
    with pytest.raises(OptionError, match="unknown protocol 'div2k'; known: gaussian, .*spad"):
        find("div2k")
