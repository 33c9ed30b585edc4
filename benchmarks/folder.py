"""Compare the throughput of restoring a folder with that of the bare network.

    python benchmarks/folder.py [FOLDER] [--count 16] [--size 512x768] [--suffix .jpg] [--rounds 3] [--json
    FILE]

Without a FOLDER, the script draws `count` images (smooth shapes under noise) and writes them in the format of
`suffix`. Each round uses one restorer, warmed up on every size, and measures:

- bare: the network alone, on as many tiles as the images have, already in memory;
- memory: the images restored from arrays to arrays, including cutting and blending tiles;
- folder: the images restored from files to files and flushed to disk, as in `uformer restore FOLDER`.

The result is the median over the rounds of bare seconds / folder seconds. 1 means that the network never
waits.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import uformer
from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write
from uformer.restore.pipeline import Outcome, run
from uformer.restore.restorer import Restorer
from uformer.restore.worklist import FileJob, list_work


@dataclasses.dataclass
class Failures:
    """A watcher that collects errors."""

    messages: list[str] = dataclasses.field(default_factory=list)

    def started(self, job: FileJob) -> None: ...
    def page(self, job: FileJob, number: int, count: int) -> None: ...
    def tile(self, done: int, total: int) -> None: ...
    def warned(self, job: FileJob, message: str) -> None: ...

    def finished(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.messages.append(outcome.error)


@dataclasses.dataclass
class Tiles:
    """The number of tiles of an image, known once it has been restored."""

    count: int = 0

    def __call__(self, _done: int, total: int) -> None:
        self.count = total


def draw(folder: Path, *, count: int, height: int, width: int, suffix: str) -> None:
    y, x = np.mgrid[:height, :width] / 100
    for number in range(count):
        rng = np.random.default_rng(number)
        waves = rng.uniform(-3, 3, (3, 4, 2))
        shapes = np.stack(
            [
                sum(np.sin(down * y + across * x + phase) for phase, (down, across) in enumerate(wave))
                for wave in waves
            ],
            axis=2,
        )
        noisy = 0.5 + 0.1 * shapes + rng.normal(0, 10 / 255, (height, width, 3))
        write(
            Image(pixels=np.clip(noisy, 0, 1).astype(np.float32), lossless=False),
            folder / f"{number:03}{suffix}",
        )


def network_calls(restorer: Restorer, images: list[Image]) -> list[tuple[tuple[int, int], int]]:
    """Return the tile size and the number of tiles of each image. Restores each once, which also warms up."""
    calls = []
    for image in images:
        tiles = Tiles()
        restorer.restore_image(image, progress=tiles)
        calls.append((restorer.tile_for(image.height, image.width), tiles.count))
    return calls


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def restore_folder(restorer: Restorer, source: Path) -> None:
    with tempfile.TemporaryDirectory(dir=source.parent) as output:
        failures = Failures()
        run(list_work([str(source)], output, overwrite=True).jobs, lambda: restorer, failures)
        assert not failures.messages, failures.messages


def measure(source: Path, restorer: Restorer, rounds: int) -> dict[str, object]:
    images = [
        read(job.source)
        for job in list_work([str(source)], str(source.parent / "nowhere"), overwrite=True).jobs
    ]
    calls = network_calls(restorer, images)
    channels = restorer.config.in_channels

    def bare() -> None:
        for tile, count in calls:
            network = restorer.network.for_size(*tile)
            for _ in range(count):
                network(np.full((1, channels, *tile), 0.5, np.float32))

    def memory() -> None:
        for image in images:
            restorer.restore_image(image)

    taken = [
        (seconds(bare), seconds(memory), seconds(lambda: restore_folder(restorer, source)))
        for _ in range(rounds)
    ]
    return {
        "pictures": len(images),
        "megapixels": round(sum(image.width * image.height for image in images) / 1e6, 3),
        "seconds": [
            dict(zip(("bare", "memory", "folder"), (round(value, 3) for value in each), strict=True))
            for each in taken
        ],
        "folder_over_bare": round(statistics.median(alone / folder for alone, _, folder in taken), 3),
        "folder_over_memory": round(statistics.median(held / folder for _, held, folder in taken), 3),
        "megapixels_a_second": round(
            statistics.median(sum(p.width * p.height for p in images) / 1e6 / folder for *_, folder in taken),
            3,
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--size", default="512x768", help="height x width, pixels")
    parser.add_argument("--suffix", default=".jpg")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="uformer_t.denoise")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tile", type=int)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()

    options = {name: getattr(args, name) for name in ("backend", "device", "precision", "tile")}
    restorer = Restorer.from_pretrained(args.weights, **options)
    with tempfile.TemporaryDirectory() as scratch:
        source = args.folder or Path(scratch) / "images"
        if args.folder is None:
            source.mkdir()
            height, width = map(int, args.size.split("x"))
            draw(source, count=args.count, height=height, width=width, suffix=args.suffix)
        figures = measure(source, restorer, args.rounds)
    about = {
        "date": str(datetime.date.today()),
        "uformer": uformer.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "weights": args.weights,
        "backend": restorer.backend,
        "precision": restorer.precision,
    }
    print(json.dumps(about | figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(about | figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
