"""What a run achieved: its best score beside those of the input and of the weights it started from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uformer.words import counted

KINDS = ("psnr", "held_out_loss")
"""Scores of the held-out images, as the log names them. The log also has `input_` and `start_` scores."""

_NOISY_TARGETS = (
    "the targets of this loss are noisy; compare images, or score with --validation, before you trust it"
)
_NO_PROOF = "a lower loss does not mean better images here; --validation with a few clean images scores them"
"""noise2void has lowered its loss and lost 1.6 dB (docs/self-supervised.md)."""

_NOTHING = 0.005
"""A difference in dB, or relative to the loss, that counts as none."""


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """The best score of a run, and the scores that it is compared with."""

    kind: str
    best: float
    step: int
    """The step of the best score."""
    input: float | None = None
    start: float | None = None

    def gain(self, baseline: float) -> float:
        """Return how much better than a baseline the run is: in dB, or as a share of the baseline's loss."""
        return self.best - baseline if self.kind == "psnr" else 1 - self.best / max(baseline, 1e-12)

    def line(self) -> str:
        """Return what to tell the user."""
        best = shown_score(self.kind, self.best)
        text = f"result: {best} on the held-out images after {counted(self.step, 'step')}"
        if self.kind != "psnr" and self.input is None:  # of single noisy images
            start = "" if self.start is None else f" ({self.start:.4g} with the weights it started from)"
            return f"{text}{start}; {_NO_PROOF}"
        against = [("the images as they came", self.input), ("the weights it started from", self.start)]
        compared = [
            f"{self._difference(baseline)} {name} ({shown_score(self.kind, baseline)})"
            for name, baseline in against
            if baseline is not None
        ]
        text = f"{text}: {', '.join(compared)}" if compared else text
        return text if self.kind == "psnr" else f"{text}; {_NOISY_TARGETS}"

    def warnings(self) -> list[str]:
        """Return a warning for each baseline that the run is worse than."""
        found = []
        if self.start is not None and self.gain(self.start) < -_NOTHING:
            found.append(
                "the new weights are worse than the weights they started from; use those, or train longer, "
                "with more images or with a smaller lr"
            )
        if self.input is not None and self.gain(self.input) < -_NOTHING:
            found.append(
                "the new weights make the held-out images worse than they came; do not use them yet: "
                "train longer, and look at samples/ and at `uformer data check`"
            )
        return found

    def _difference(self, baseline: float) -> str:
        gain = self.gain(baseline)
        if abs(gain) < _NOTHING:
            return "as good as"
        amount = f"{abs(gain):.2f} dB" if self.kind == "psnr" else f"{abs(gain):.1%}"
        return f"{amount} {'better' if gain > 0 else 'worse'} than"


def shown_score(kind: str, score: float) -> str:
    """Return a score of one of the KINDS as text: "31.50 dB", or "loss 0.0123"."""
    return f"{score:.2f} dB" if kind == "psnr" else f"loss {score:.4g}"


def outcome(log: Sequence[dict[str, Any]]) -> RunOutcome | None:
    """Return the outcome that a log tells, or None if no images were held out.

    Scores before the last baselines do not count, because they are of other images.
    """
    baselines = logged_baselines(log)
    scored: list[tuple[str, float, int]] = []
    for line in log:
        if _baselines_in(line):
            scored = []
        scored += [(kind, line[kind], line["step"]) for kind in KINDS if kind in line]
    if not scored:
        return None
    kind = scored[-1][0]
    choose = max if kind == "psnr" else min
    _, best, step = choose((each for each in scored if each[0] == kind), key=lambda each: each[1])
    return RunOutcome(
        kind=kind,
        best=best,
        step=step,
        input=baselines.get(f"input_{kind}"),
        start=baselines.get(f"start_{kind}"),
    )


def logged_baselines(log: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the last baselines of a log, by the names they have there; none if it has none."""
    return next((found for line in reversed(log) if (found := _baselines_in(line))), {})


def _baselines_in(line: dict[str, Any]) -> dict[str, float]:
    names = [f"{which}_{kind}" for which in ("input", "start") for kind in KINDS]
    return {name: line[name] for name in names if name in line}
