"""Measure how well weights restore: PSNR on pictures with ground truth.

    python benchmarks/quality.py DATA [--weights NAME|FILE [--task denoise]] [--json OUT.json]

DATA holds any of these folders: cbsd68/ (clean pictures), sidd/, nam/, rain100l/ and gopro/ (each with degraded/ and clean/, matching
names). They are scored as `uformer eval` does by the protocols gaussian, pairs, pairs, rain and gopro, which say how; the mean of the
pictures' PSNR is given. Without --weights, those that ship for each task are measured on that task's folders; weights that are named, on
the folders of their task alone (of a file: of --task).
"""

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path

import uformer
from uformer.evaluate.protocols import PROTOCOLS
from uformer.evaluate.report import failure_line
from uformer.evaluate.run import evaluate, mean
from uformer.evaluate.samples import find_samples
from uformer.weights import registry

FOLDERS = {
    "denoise": {"cbsd68": "gaussian", "sidd": "pairs", "nam": "pairs"},
    "derain": {"rain100l": "rain"},
    "deblur": {"gopro": "gopro"},
}
"""For each task, the folders and the protocol of each."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--task", choices=FOLDERS, help="what a weights file is for (denoise)")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()

    if args.weights is None:
        weights = {task: registry.for_task(task).name for task in registry.TASKS if args.task in (None, task)}
    else:
        shipped = registry.WEIGHTS.get(args.weights)
        weights = {args.task or (shipped.task if shipped else "denoise"): args.weights}
    work = [
        (name, folder, protocol)
        for task, name in weights.items()
        for folder, protocol in FOLDERS.get(task, {}).items()
        if (args.data / folder).is_dir()
    ]
    if not work:
        wanted = ", ".join(folder for task in weights for folder in FOLDERS.get(task, {}))
        sys.exit(f"{args.data}: no folder {wanted} in it" if weights else f"no weights for {args.task} ship; name some with --weights")
    print(f"{', '.join(weights.values())}, {datetime.date.today()}, {platform.machine()}, uformer {uformer.__version__}")
    names = dict.fromkeys(name for name, _, _ in work)
    restorers = {name: uformer.Restorer.from_pretrained(name, backend=args.backend, precision=args.precision) for name in names}
    figures, failed = {}, False
    for name, folder, protocol in work:
        samples = find_samples(PROTOCOLS[protocol], args.data / folder)
        for subset in dict.fromkeys(sample.subset for sample in samples):
            found = evaluate(restorers[name], [sample for sample in samples if sample.subset == subset], PROTOCOLS[protocol].scoring)
            for failure in found.failures:
                print(failure_line(failure), file=sys.stderr)
                failed = True
            if not found.measured:
                continue
            before, after = (mean(scores).psnr for scores in zip(*((each.degraded, each.restored) for each in found.measured), strict=True))
            title = f"{folder.upper()} {subset}" if subset else folder
            figures[title] = {"input": round(before, 2), "restored": round(after, 2), "pictures": len(found.measured)}
            print(f"{title:16} {len(found.measured):3} pictures: {before:6.2f} -> {after:6.2f} dB ({after - before:+.2f})", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
