"""The two files of a report, beside the output that it describes: figures as JSON, and an image."""

import json
import re
from pathlib import Path
from typing import Any

from uformer.files import atomic_path
from uformer.image.image import Image
from uformer.image.write import write
from uformer.restore.reporting.change_report import ChangeReport
from uformer.restore.reporting.report_image import draw
from uformer.restore.walk import REPORT
from uformer.version import __version__


def report_files(output: Path) -> tuple[Path, Path]:
    """Return the files of the report on an output: OUTPUT.report.json and OUTPUT.report.png."""
    return output.with_name(f"{output.name}{REPORT}.json"), output.with_name(f"{output.name}{REPORT}.png")


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
