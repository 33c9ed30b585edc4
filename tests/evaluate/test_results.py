"""The report says how each score is computed, labels published ones, and warns if they are not comparable."""

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from uformer.errors import PictureError
from uformer.evaluate import results
from uformer.evaluate.evaluation import Evaluation, Failure, Measured
from uformer.evaluate.protocols import PROTOCOLS
from uformer.evaluate.results import Setting
from uformer.evaluate.score import Score
from uformer.restore.options import RestoreOptions

SETTING = Setting(
    weights="mine",
    sha256="0123456789abcdef" * 4,
    backend="openvino",
    precision="bf16",
    margin=8,
    multiple=32,
    options=RestoreOptions(),
    channels=3,
    found=68,
    limit=None,
)
FOUND = Evaluation(
    tuple(
        Measured(f"sigma {sigma}", "a", Score(20, 0.4), Score(30 + sigma / 100, 0.8), 1)
        for sigma in (15, 25, 50)
    ),
    (),
)


def shown(protocol: str, evaluation: Evaluation, setting: Setting, *, terminal: bool = False) -> list[str]:
    out = io.StringIO()
    results.show(
        Console(file=out, width=200, force_terminal=terminal, no_color=True, highlight=False),
        PROTOCOLS[protocol],
        evaluation,
        setting,
    )
    return out.getvalue().splitlines()


@pytest.mark.parametrize("terminal", [False, True])
def test_numbers_stand_with_how_they_were_computed(terminal: bool) -> None:
    lines = shown("gaussian", FOUND, SETTING, terminal=terminal)
    (row,) = (line for line in lines if "measured sigma 25" in line)
    for part in (
        "20.00",
        "0.4000",
        "30.25",
        "0.8000",
        "RGB, restored rounded to 8 bits, no border, whole images, padded by reflection",
    ):
        assert part in row
    published = lines[lines.index(row) + 1 :][:6]
    assert all("published" in line and "20.00" not in line for line in published)
    assert any("31.23" in line and "CDnCNN (Zhang et al., TIP 2018)" in line for line in published)
    text = "\n".join(lines)
    for part in (
        "mine (sha256 0123456789ab...), openvino, bf16",
        "8 pixels on each side",
        "multiples of 32",
        "11 x 11",
        "gaussian-float",
    ):
        assert part in text
    assert "warning" not in text


def test_every_reason_not_to_compare_is_reported() -> None:
    failed = Evaluation(FOUND.measured, (Failure("sigma 15", "b", "damaged"),))
    setting = Setting(
        **{**SETTING.__dict__, "found": 10, "limit": 3, "options": RestoreOptions(strength=0.5)}
    )
    warnings = results.warnings_of(PROTOCOLS["gaussian"], failed, setting)
    assert [warning.split(":")[0] for warning in warnings] == [
        "found 10 images; CBSD68 has 68",
        "--limit 3",
        "--strength 0.5",
        "1 image has no scores and is left out of the means",
    ]
    assert sum("warning: " in line for line in shown("gaussian", failed, setting)) == 4
    assert results.warnings_of(PROTOCOLS["pairs"], FOUND, SETTING) == []
    assert results.failure_line(failed.failures[0]) == "uformer: error: sigma 15, b: damaged"
    assert results.failure_line(Failure("", "b", "damaged")) == "uformer: error: b: damaged"


def test_options_that_change_the_scores_appear_in_the_row_and_in_the_json() -> None:
    options = RestoreOptions(ensemble=True, strength=0.5, tile=640, overlap=48)
    setting = Setting(**{**SETTING.__dict__, "options": options})
    lines = shown("gaussian", FOUND, setting)
    rows = [line for line in lines if line.lstrip().startswith("measured")]
    assert len(rows) == 3
    assert all(
        "padded by reflection, --ensemble, --strength 0.5, --tile 640, --overlap 48" in row for row in rows
    )
    assert not any("--ensemble" in line for line in lines if "published" in line)
    values = json.loads(results.as_json(PROTOCOLS["gaussian"], FOUND, setting))
    assert {key: values[key] for key in ("ensemble", "strength", "tile", "overlap")} == options_of(options)
    plain = json.loads(results.as_json(PROTOCOLS["gaussian"], FOUND, SETTING))
    assert {key: plain[key] for key in ("ensemble", "strength", "tile", "overlap")} == options_of(
        RestoreOptions()
    )
    assert results.given(RestoreOptions()) == []
    assert results.given(RestoreOptions(overlap=0, strength=0)) == ["--strength 0", "--overlap 0"]
    assert results.given(RestoreOptions(tones="lock")) == ["--tones lock"]
    assert results.given(RestoreOptions(chroma=0.5, grain=0.1)) == ["--chroma 0.5", "--grain 0.1"]


def options_of(options: RestoreOptions) -> dict[str, object]:
    return {key: getattr(options, key) for key in ("ensemble", "strength", "tile", "overlap")}


def test_failed_images_are_counted_once() -> None:
    a, b = ([Failure(f"sigma {sigma}", name, "damaged") for sigma in (15, 25, 50)] for name in "ab")
    setting = Setting(**{**SETTING.__dict__, "found": 68})

    def warnings(*failures: Failure) -> list[str]:
        return results.warnings_of(PROTOCOLS["gaussian"], Evaluation(FOUND.measured, failures), setting)

    assert warnings(*a) == ["1 image has no scores and is left out of the means"]
    assert warnings(*a, b[1]) == ["2 images have no scores and are left out of the means"]
    assert warnings(Failure("", "a", "a.png: damaged"), Failure("", "a", "a.jpg: damaged"))[0].startswith(
        "2 images"
    )


def test_a_failure_is_one_line_whatever_a_file_is_called() -> None:
    line = results.failure_line(Failure("", "a\nb", "a\nb.png: \x1b[2Jdamaged " + "x" * 300))
    assert line.startswith("uformer: error: a b: a b.png: [2Jdamaged xxx")
    assert line.isprintable()
    assert line.endswith("x" * 300)


def test_other_channels_are_not_called_rgb() -> None:
    setting = Setting(**{**SETTING.__dict__, "channels": 5})
    (row,) = (
        line for line in shown("pairs", Evaluation(FOUND.measured[:1], ()), setting) if "measured" in line
    )
    assert "5 channels, restored rounded" in row
    assert "RGB" not in row


def test_tiles_are_reported() -> None:
    tiled = Evaluation((Measured("", "a", Score(20, 0.4), Score(30, 0.8), 6),), ())
    assert any("up to 6 tiles per image" in line for line in shown("pairs", tiled, SETTING))


def test_json_has_everything_and_no_infinity() -> None:
    found = Evaluation(
        (Measured("", "a", Score(20, 0.4), Score(math.inf, 1.0), 2),), (Failure("", "b", "damaged"),)
    )
    values = json.loads(results.as_json(PROTOCOLS["rain"], found, SETTING))
    assert values["weights"] == {"name": "mine", "sha256": SETTING.sha256}
    assert values["protocol"]["scoring"]["luma_rounded"]
    assert (values["backend"], values["precision"]) == ("openvino", "bf16")
    assert values["date"].endswith("+00:00")
    assert values["results"] == [
        {
            "subset": "",
            "pictures": 1,
            "input": {"psnr": 20, "ssim": 0.4},
            "restored": {"psnr": None, "ssim": 1.0},
            "scores": [
                {
                    "picture": "a",
                    "input": {"psnr": 20, "ssim": 0.4},
                    "restored": {"psnr": None, "ssim": 1.0},
                    "tiles": 2,
                    "data_range": 255,
                }
            ],
        }
    ]
    assert values["failures"] == [{"subset": "", "name": "b", "reason": "damaged"}]
    assert values["warnings"]
    assert values["uformer"]


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    results.write_json("{}\n", tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == "{}\n"
    with pytest.raises(PictureError, match="cannot be written"):
        results.write_json("{}\n", tmp_path / "nowhere/out.json")


def test_protocols_and_published_numbers_are_listed() -> None:
    out = io.StringIO()
    console = Console(file=out, width=300)
    results.show_protocols(console)
    for name, protocol in PROTOCOLS.items():
        assert name in out.getvalue()
        assert protocol.summary in out.getvalue()
    results.show_published(console, PROTOCOLS["dnd"])
    assert "published: Uformer-B 40.04 dB, SSIM 0.956 (Wang et al., CVPR 2022)" in out.getvalue()
    assert f"differs: {PROTOCOLS['dnd'].differs}" in out.getvalue()


def test_a_folder_that_is_not_the_dataset_is_recognized_by_its_count() -> None:
    assert (
        results.count_warning(PROTOCOLS["gopro"], 3)
        == "found 3 images; GoPro's test set has 1111: do not compare with the published numbers"
    )
    assert (results.count_warning(PROTOCOLS["rain100l"], 1) or "").startswith("found 1 image; ")
    assert results.count_warning(PROTOCOLS["gopro"], 1111) is None
    assert results.count_warning(PROTOCOLS["pairs"], 3) is None
