"""Draw docs/images/degradations.jpg: an example image, clean and with each degradation.

python benchmarks/degradations.py [OUT.jpg]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from uformer.cli import main as uformer

ROOT = Path(__file__).parents[1]
SETTINGS = [
    ("gaussian_noise", ["sigma=25"]),
    ("poisson_gaussian_noise", ["shot=1e-2", "read=1e-2"]),
    ("camera_noise", ["shot=1e-2", "read=5e-3", "camera=1"]),
    ("hot_pixels", ["share=5e-3"]),
    ("rain", ["density=4", "angle=15", "strength=0.6"]),
    ("rain", ["density=8", "angle=10", "strength=0.5", "streaks=noise"]),
    ("shake", ["length=20", "roll=1"]),
    ("levin", ["scale=0.8"]),
    ("defocus", ["radius=3.5"]),
]


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images/degradations.jpg"
    clean = ROOT / "examples/court.clean.png"
    with tempfile.TemporaryDirectory() as folder:
        images = [str(clean)]
        for function, settings in SETTINGS:
            images.append(str(Path(folder) / f"{len(images)}.png"))
            words = [word for setting in settings for word in ("--set", setting)]
            if uformer(["degrade", str(clean), images[-1], "--function", function, *words]):
                sys.exit(1)
        strip = ROOT / "benchmarks/strip.py"
        subprocess.run(
            [sys.executable, strip, out, *images, "--crop", "0,60,200", "--columns", "5"], check=True
        )


if __name__ == "__main__":
    main()
