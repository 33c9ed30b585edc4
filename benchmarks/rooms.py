"""Print the size of each room of the package and the rooms it imports: the table in docs/architecture.md.

    python benchmarks/rooms.py [CHECKOUT]

The small modules below all rooms count as one room, "bottom". Imports inside functions count too.
"""

import ast
import sys
from collections import Counter, defaultdict
from pathlib import Path

BOTTOM = (
    *("alone", "allocator", "bars", "console", "errors", "files", "system_memory", "notices"),
    *("output", "processors", "signals", "staging", "values", "version", "words", "zarr_folder"),
)


def imported(path: Path, modules: set[str]) -> set[str]:
    """Return the modules of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & modules
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:  # either a module of a room or a name in a module
                whole = f"{node.module}.{alias.name}"
                found |= {whole if whole in modules else node.module} & modules
    return found


def room_of(module: str) -> str:
    """Return the folder below uformer/ or the module itself; "root" for the package's own names."""
    room = module.split(".")[1] if "." in module else "root"
    return "bottom" if room in BOTTOM else room


def main() -> None:
    """Print a line for each room, then the totals."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    paths = sorted((root / "uformer").rglob("*.py"))
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }
    sizes, lines = Counter(map(room_of, modules)), Counter[str]()
    arrows: dict[str, set[str]] = defaultdict(set)
    imports = 0
    for module, path in modules.items():
        lines[room_of(module)] += len(path.read_text(encoding="utf-8").splitlines())
        others = [
            room_of(other) for other in imported(path, set(modules)) if room_of(other) != room_of(module)
        ]
        arrows[room_of(module)].update(others)
        imports += len(others)
    print("| room | modules | lines | imports |\n|---|---|---|---|")
    for room, count in lines.most_common():
        print(f"| {room} | {sizes[room]} | {count:,} | {', '.join(sorted(arrows[room]))} |")
    print(f"\n{len(lines)} rooms, {len(modules)} modules, {sum(lines.values()):,} lines;", end=" ")
    print(f"{sum(map(len, arrows.values()))} arrows between rooms, {imports} imports across rooms")


if __name__ == "__main__":
    main()
