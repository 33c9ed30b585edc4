"""Print pip constraints that pin every dependency of the package to its lower bound: "numpy==2.1"."""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest(dependencies: list[str]) -> list[str]:
    """Return the constraint "name==1.2" for each "name[extra]>=1.2".

    Raises ValueError for a dependency without a lower bound.
    """
    found = []
    for dependency in dependencies:
        match = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)", dependency)
        if match is None:
            raise ValueError(f"dependency {dependency!r}: must have the form NAME>=VERSION")
        found.append("==".join(match.groups()))
    return found


if __name__ == "__main__":
    print("\n".join(lowest(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"])))
