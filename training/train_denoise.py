"""Train uformer_t.denoise: from starting weights, on a folder of clean pictures, for a given time.

    python training/train_denoise.py DATA --start START.safetensors --out runs/denoise --minutes 120

Every picture below DATA is used but those in folders named `degraded`; the better they are, the cleaner it learns to
restore. The learning rate falls along a cosine over the given time, so a run ends finished however busy the machine is.
`--out` gets log.jsonl, last.safetensors (the moving average of the weights, written every few minutes, whole or not at
all) and, at the end, a line to go on with.
"""

import argparse
import dataclasses
import json
import math
import time
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyvips
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uformer.config import variant
from uformer.degradations.compose import random_noise
from uformer.image.formats import supports
from uformer.model.uformer import Uformer
from uformer.weights.checkpoint import load, save


def read_clean(folder: Path, patch: int) -> list[np.ndarray]:
    """All pictures below a folder that hold a patch, as uint8 (H, W, 3), in the order of their names."""
    files = sorted(path for path in folder.rglob("*") if supports(path.suffix) and "degraded" not in path.parts)
    pictures = [pyvips.Image.new_from_file(str(path)).colourspace("srgb")[:3].numpy() for path in files]
    pictures = [picture for picture in pictures if min(picture.shape[:2]) >= patch]
    if not pictures:
        raise SystemExit(f"{folder}: no picture of at least {patch} x {patch} pixels")
    return pictures


def draw_batch(pictures: list[np.ndarray], rng: np.random.Generator, *, batch: int, patch: int) -> tuple[Tensor, Tensor]:
    """(degraded, clean), each (B, 3, patch, patch) float32: random crops, flipped and turned, each with noise of its own.

    Of a hundred patches three are smooth drawings left clean, three such with noise, six gray photographs with gray noise.
    """
    weights = np.array([picture.shape[0] * picture.shape[1] for picture in pictures], float) ** 0.5
    degraded, clean = [], []
    for picture in rng.choice(len(pictures), size=batch, p=weights / weights.sum()):
        pixels = pictures[picture]
        top, left = (rng.integers(0, side - patch + 1) for side in pixels.shape[:2])
        crop = pixels[top : top + patch, left : left + patch]
        crop = np.rot90(crop[::-1] if rng.random() < 0.5 else crop, int(rng.integers(4))).astype(np.float32) / 255
        kind = rng.random()
        if kind < 0.06:
            crop = draw_gradient(rng, patch)
        elif kind < 0.12:
            crop = np.repeat(crop.mean(axis=2, keepdims=True), 3, axis=2)
        noisy = crop if kind < 0.03 else random_noise(crop, rng)
        if 0.06 <= kind < 0.12:  # a gray picture: one noise for all colours
            noisy = np.repeat(noisy[..., 1:2], 3, axis=2)
        clean.append(crop)
        degraded.append(noisy)
    as_tensors = (torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy()) for crops in (degraded, clean))
    return next(as_tensors), next(as_tensors)


def draw_gradient(rng: np.random.Generator, patch: int) -> NDArray[np.float32]:
    """A smooth picture, flat half of the time: what photographs seldom show, and drawings and scans are full of."""
    flat, slope = rng.random(3), rng.uniform(-0.5, 0.5, (2, 3)) * (rng.random() < 0.5)
    at = np.linspace(-0.5, 0.5, patch)
    picture = flat + at[:, None, None] * slope[0] + at[:, None] * slope[1]
    return np.rint(np.clip(picture * rng.uniform(1, 1.5), 0, 1) * 255).astype(np.float32) / 255


def charbonnier(restored: Tensor, clean: Tensor) -> Tensor:
    """Charbonnier loss, epsilon 1e-3 (CVPR 2022, equation 7)."""
    return ((restored - clean) ** 2 + 1e-6).sqrt().mean()


def gradients(model: nn.Module, degraded: Tensor, clean: Tensor) -> tuple[float, tuple[Tensor, ...]]:
    """Mean loss of a few patches and its gradients, in bfloat16 autocast."""
    with torch.autocast(degraded.device.type, torch.bfloat16):
        restored = model(degraded)
    loss = charbonnier(restored.float(), clean)
    return loss.item(), torch.autograd.grad(loss, list(model.parameters()))


def optimizers(model: nn.Module, *, lr: float, muon: bool) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters; or Muon (Jordan et al. 2024) for the matrices of the blocks and AdamW for the rest."""
    named = dict(model.named_parameters())
    matrices = [name for name, value in named.items() if muon and name.endswith("weight") and value.ndim == 2]
    rest = [value for name, value in named.items() if name not in matrices]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0)]
    if matrices:  # two, so that two workers can step them at once
        shares = ([named[name] for name in matrices[start::2]] for start in (0, 1))
        found += [torch.optim.Muon(share, lr=lr, weight_decay=0, adjust_lr_fn="match_rms_adamw") for share in shares]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of clean pictures")
    parser.add_argument("--start", type=Path, help="weights to go on from; without it, from nothing")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--steps", type=int, default=0, help="stop after this many steps, and let the learning rate fall along them")
    parser.add_argument("--batch", type=int, default=8, help="patches in a step")
    parser.add_argument("--micro", type=int, default=2, help="patches that a worker takes at once; divides --batch")
    parser.add_argument("--threads", type=int, default=2, help="workers, each on one core of its own; 1 on a GPU")
    parser.add_argument("--warmup", type=int, default=50, help="steps")
    parser.add_argument("--patch", type=int, default=128, help="side of a patch, pixels")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--muon", action="store_true")
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-minutes", type=float, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # a worker on each core waits for nobody; cores sharing each operation do
    rng = np.random.default_rng(args.seed)
    started = load(args.start) if args.start else None
    config = started.config if started else dataclasses.replace(variant("uformer_t"), bottleneck_shift=False)
    model = Uformer(dataclasses.replace(config, drop_path_rate=0.0)).to(args.device)  # a short run underfits: nothing to regularise
    if started:
        model.load_state_dict(started.state_dict())
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(args.ema))
    found = optimizers(model, lr=args.lr, muon=args.muon)
    pictures = read_clean(args.data, args.patch)
    print(f"{len(pictures)} pictures, {sum(picture.size for picture in pictures) / 3e6:.0f} Mpixels", flush=True)

    parameters = list(model.parameters())
    workers = ThreadPoolExecutor(args.threads)
    start = saved = time.monotonic()
    step = 0
    losses: list[float] = []
    batch = workers.submit(draw_batch, pictures, rng, batch=args.batch, patch=args.patch)
    while (elapsed := (time.monotonic() - start) / 60) < args.minutes and not (args.steps and step >= args.steps):
        done = step / args.steps if args.steps else elapsed / args.minutes
        rate = 0.5 * (1 + math.cos(math.pi * done)) * min(1, (step + 1) / args.warmup)
        for optimizer in found:
            for group in optimizer.param_groups:
                group["lr"] = max(args.lr * rate, 1e-6)
        degraded, clean = (x.to(args.device) for x in batch.result())
        parts = zip(degraded.split(args.micro), clean.split(args.micro), strict=True)
        answers = [workers.submit(gradients, model, *part) for part in parts]
        batch = workers.submit(draw_batch, pictures, rng, batch=args.batch, patch=args.patch)
        found_losses, found_gradients = zip(*(answer.result() for answer in answers), strict=True)
        if not all(map(math.isfinite, found_losses)):
            raise SystemExit(f"step {step}: a loss is not finite; the weights last saved to {args.out} are good")
        losses += found_losses
        for parameter, *shares in zip(parameters, *found_gradients, strict=True):
            parameter.grad = torch.stack(shares).mean(dim=0)
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        if not math.isfinite(norm.item()):
            raise SystemExit(f"step {step}: a gradient is not finite; the weights last saved to {args.out} are good")
        list(workers.map(lambda optimizer: optimizer.step(), found))
        average.update_parameters(model)
        step += 1
        if step % 50 == 0:
            line = {
                "step": step,
                "minutes": round(elapsed, 2),
                "lr": args.lr * rate,
                "loss": sum(losses) / len(losses),
                "norm": norm.item(),
                "patches_per_s": round(step * args.batch / (elapsed * 60), 2),
            }
            with open(args.out / "log.jsonl", "a") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)
            losses = []
        if time.monotonic() - saved > args.save_minutes * 60:
            save(args.out / "last.safetensors", typing.cast(Uformer, average.module))
            saved = time.monotonic()
    save(args.out / "last.safetensors", typing.cast(Uformer, average.module))
    print(f"{step} steps of {args.batch}; next: python benchmarks/quality.py --weights {args.out / 'last.safetensors'}")


if __name__ == "__main__":
    main()
