from typing import Any

from uformer.train.outcome import logged_baselines, outcome

START: dict[str, Any] = {"step": 0, "input_psnr": 26.0, "start_psnr": 31.0}


def test_the_best_score_is_compared_with_the_input_and_the_start() -> None:
    found = outcome(
        [START, {"step": 5, "psnr": 31.5}, {"step": 10, "loss": 0.1}, {"step": 10, "psnr": 31.25}]
    )
    assert found is not None
    assert found.line() == (
        "result: 31.50 dB on the held-out images after 5 steps: 5.50 dB better than the images as they came "
        "(26.00 dB), 0.50 dB better than the weights it started from (31.00 dB)"
    )
    assert found.warnings() == []


def test_weights_that_are_worse_are_warned_about() -> None:
    found = outcome([START, {"step": 5, "psnr": 30.0}])
    assert found is not None
    assert "1.00 dB worse than the weights it started from" in found.line()
    assert [warning.partition(" than")[0] for warning in found.warnings()] == ["the new weights are worse"]
    both = outcome([START, {"step": 5, "psnr": 20.0}])
    assert both is not None
    assert len(both.warnings()) == 2


def test_a_loss_is_better_if_it_is_lower() -> None:
    log = [
        {"step": 0, "input_held_out_loss": 0.02},
        *({"step": n, "held_out_loss": 0.02 / n} for n in (1, 2)),
    ]
    found = outcome(log)
    assert found is not None
    assert found.line() == (
        "result: loss 0.01 on the held-out images after 2 steps: 50.0% better than the images as they came "
        "(loss 0.02); the targets of this loss are noisy; compare images, or score with --validation, before "
        "you trust it"
    )


def test_scores_of_other_images_do_not_count() -> None:
    log = [START, {"step": 5, "psnr": 40.0}, {"step": 5, "input_psnr": 20.0}, {"step": 6, "psnr": 25.0}]
    found = outcome(log)
    assert found is not None
    assert (found.best, found.input, found.start) == (25.0, 20.0, None)
    assert logged_baselines(log) == {"input_psnr": 20.0}


def test_without_held_out_images_there_is_no_outcome() -> None:
    assert outcome([{"step": 1, "loss": 0.1}]) is None
    assert logged_baselines([]) == {}


def test_a_loss_of_single_noisy_images_compares_nothing() -> None:
    found = outcome([{"step": 0, "start_held_out_loss": 0.0309}, {"step": 9, "held_out_loss": 0.0291}])
    assert found is not None
    assert found.line() == (
        "result: loss 0.0291 on the held-out images after 9 steps (0.0309 with the weights it started from); "
        "a lower loss does not mean better images here; --validation with a few clean images scores them"
    )
    assert found.warnings() == []
