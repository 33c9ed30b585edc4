"""The two files of a report, beside the output that it describes: figures as JSON, and an image."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from uformer.errors import OptionError
from uformer.files import atomic_path
from uformer.image.image import Image
from uformer.image.write import write
from uformer.output import check_output
from uformer.restore.change_report import ChangeReport
from uformer.restore.report_image import draw
from uformer.restore.walk import REPORT
from uformer.restore.worklist import WorkList
from uformer.version import __version__


def report_files(output: Path) -> tuple[Path, Path]:
    """Return the files of the report on an output: OUTPUT.report.json and OUTPUT.report.png."""
    return output.with_name(f"{output.name}{REPORT}.json"), output.with_name(f"{output.name}{REPORT}.png")


def check_beside(
    work: WorkList, beside: Callable[[Path], Sequence[Path]], *, alone: bool, overwrite: bool
) -> None:
    """Make a job fail if a file that will lie beside its output exists and must not be replaced.

    `beside`: returns these files for an output. Raises OptionError instead if the job is the only one
    (`alone`).
    """
    for job in list(work.jobs):
        try:
            if job.output.parent.is_dir():  # the folder of several outputs is created later
                for path in beside(job.output):
                    check_output(path, overwrite=overwrite, source=job.source)
        except OptionError as error:
            if alone:
                raise
            work.jobs.remove(job)
            work.failures.append((job.source, str(error)))


def write_report(report: ChangeReport, source: Path, output: Path) -> Path:
    """Write the files of a report, and return the path of the figures. Raises OSError and PictureError."""
    figures, image = report_files(output)
    text = as_json({"uformer": __version__, "input": str(source), "output": str(output), **report.as_dict()})
    with atomic_path(figures) as temporary:
        temporary.write_text(text, encoding="utf-8")
    write(Image(pixels=draw(report)), image)
    return figures


def as_json(content: dict[str, Any]) -> str:
    """Return indented JSON in which a list of numbers takes one line."""
    text = json.dumps(content, indent=2)
    return re.sub(r"\[\s+([-\d.,\s]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
