"""Measure the peak memory of `uformer restore`, as the peak resident set size of the real command.

    python benchmarks/memory.py                                  # photos of 24 megapixels
    python benchmarks/memory.py --sides 20000x20000 --tiles 2    # images of 400 megapixels, quickly

The images repeat one of examples/. With `--tiles N`, the network restores only the first N tiles of each
image and returns the others unchanged. This saves time without changing the peak, because the network's
memory does not grow with the image.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

ROOT = Path(__file__).resolve().parents[1]

FILES: dict[str, dict[str, Any]] = {
    "photo.jpg": {"Q": 92},
    "photo.png": {"compression": 1},
    "strips.tif": {"compression": "deflate"},
    "tiles.tif": {"tile": True, "tile_width": 256, "tile_height": 256, "bigtiff": True},
}


def make(path: Path, width: int, height: int) -> None:
    """Write an image of this size."""
    image = pyvips.Image.new_from_file(str(ROOT / "examples" / "night.png"))
    across, down = -(-width // image.width), -(-height // image.height)
    image.replicate(across, down).crop(0, 0, width, height).write_to_file(str(path), **FILES[path.name])


def run(arguments: list[str], tiles: int | None) -> tuple[int, float, float]:
    """Run the command and return its (exit status, peak resident set size in MB of 10^6 bytes, seconds)."""
    command = (
        [sys.executable, "-m", "uformer"]
        if tiles is None
        else [sys.executable, __file__, "--child", str(tiles)]
    )
    began = time.perf_counter()
    process = subprocess.Popen([*command, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * unit / 1e6, time.perf_counter() - began


def child(restored: int, arguments: list[str]) -> None:
    """Run the command with a network that restores this many tiles and returns the others unchanged."""
    from uformer.cli import main  # noqa: PLC0415 - the child starts with the parent's memory; keep it small
    from uformer.image.image import Pixels  # noqa: PLC0415
    from uformer.restore.network import Network  # noqa: PLC0415

    run, done = Network.run, 0

    def few(self: Network, tiles: Pixels, notify: Callable[[str], None]) -> Pixels:
        nonlocal done
        done += len(tiles)
        return run(self, tiles, notify) if done <= restored else np.ascontiguousarray(tiles)

    Network.run = few  # type: ignore[method-assign]
    sys.argv = ["uformer", *arguments]
    main()


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sides", default="6000x4000", metavar="WxH", help="size in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--files", nargs="+", default=["photo.jpg", "photo.png"], choices=FILES, help="kinds of image files"
    )
    parser.add_argument(
        "--output",
        default=None,
        choices=(".jpg", ".png", ".tif"),
        help="output format (default: that of the input)",
    )
    parser.add_argument(
        "--tiles", type=int, default=None, help="tiles that the network restores (default: all)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="folder to keep the images in (default: a temporary one)",
    )
    parser.add_argument("options", nargs="*", help="options of `uformer restore`, after --")
    args = parser.parse_args()
    width, height = (int(side) for side in args.sides.split("x"))
    print("| Image | Options | Tiles by the network | Peak MB | Seconds |\n|---|---|---|---|---|")
    worst = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        for name in args.files:
            source = folder / f"{args.sides}-{name}"
            if not source.exists():
                plain = folder / name
                make(plain, width, height)
                plain.rename(source)
            output = folder / f"restored-{args.sides}-{Path(name).stem}{args.output or Path(name).suffix}"
            arguments = ["restore", str(source), "-o", str(output), "--overwrite", "--quiet", *args.options]
            status, peak, seconds = run(arguments, args.tiles)
            worst = max(worst, status)
            cells = (
                f"{source.name} to {output.suffix}",
                " ".join(args.options),
                str(args.tiles or "all"),
                f"{peak:.0f}",
                f"{seconds:.0f}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
            output.unlink(missing_ok=True)
    return worst


if __name__ == "__main__":
    sys.exit(main())
