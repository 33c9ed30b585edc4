"""The baseline of the budget track: a plain stack of convolutions that predicts the noise.

It follows DnCNN (Zhang et al., IEEE TIP 2017): convolutions of 3 x 3 and batch normalisation.
An entry needs no more than this: it trains within the budget, saves what it has learned, and restores.

    python benchmarks/budget/plain.py train TRAIN OUT SEED SECONDS
    python benchmarks/budget/plain.py restore OUT NOISY RESTORED
"""

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from uformer.files import atomic_file
from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write

LAYERS, CHANNELS = 12, 48
PATCH, BATCH = 48, 16
RATE = 1e-3
SAVE_EVERY = 60.0
"""Seconds of processor time between saves."""


def make_network() -> nn.Sequential:
    """Return the network, from a noisy image (B, 3, H, W) to its noise."""
    layers: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 3, padding=1), nn.ReLU()]
    for _ in range(LAYERS - 2):
        layers += [
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Conv2d(CHANNELS, 3, 3, padding=1))


def load(folder: Path) -> Tensor:
    """Return all images of a folder, which have one size: (N, 3, H, W) in [0, 1]."""
    return torch.stack(
        [torch.from_numpy(read(path).pixels).permute(2, 0, 1) for path in sorted(folder.glob("*.png"))]
    )


def draw_batch(noisy: Tensor, clean: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return patches at random places. Half of them are flipped."""
    height, width = clean.shape[2:]
    found = []
    for _ in range(BATCH):
        index = random.integers(len(clean))
        top, left = random.integers(height - PATCH + 1), random.integers(width - PATCH + 1)
        place = (index, slice(None), slice(top, top + PATCH), slice(left, left + PATCH))
        flipped = [3] if random.integers(2) else []
        found.append(torch.stack([noisy[place], clean[place]]).flip(flipped))
    pairs = torch.stack(found)  # (B, 2, 3, PATCH, PATCH)
    return pairs[:, 0], pairs[:, 1]


def train(data: Path, out: Path, seed: int, budget: float) -> None:
    """Train until the process has used `budget` seconds of processor time; continue where it was saved."""
    torch.manual_seed(seed)
    network, state = make_network(), out / "state.pt"
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    step, before = 0, 0.0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        step, before = saved["step"], saved["seconds"]
    noisy, clean = load(data / "degraded"), load(data / "clean")
    used = last = before + time.process_time()
    while used < budget:
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * used / budget))
        degraded, target = draw_batch(noisy, clean, np.random.default_rng([seed, step]))
        loss = (network(degraded) - (degraded - target)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step, used = step + 1, before + time.process_time()
        if used - last > SAVE_EVERY or used >= budget:
            last = used
            found = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
            with atomic_file(state) as file:
                torch.save({**found, "step": step, "seconds": used}, file)


@torch.inference_mode()
def restore(out: Path, noisy: Path, restored: Path) -> None:
    """Restore every image of a folder into another."""
    network = make_network().eval()
    network.load_state_dict(torch.load(out / "state.pt", weights_only=True)["network"])
    for path in sorted(noisy.glob("*.png")):
        image = torch.from_numpy(read(path).pixels).permute(2, 0, 1)[None]
        answer = (image - network(image)).clamp(0, 1)[0].permute(1, 2, 0)
        write(Image(pixels=answer.contiguous().numpy()), restored / path.name)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["train", data, out, seed, seconds]:
            train(Path(data), Path(out), int(seed), float(seconds))
        case ["restore", out, noisy, restored]:
            restore(Path(out), Path(noisy), Path(restored))
        case _:
            raise SystemExit(__doc__)
