"""The package keeps its rules: imports point down, it starts quickly, files are short and have tests."""

import ast
import graphlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for path in (ROOT / "uformer").rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]

TESTED_ELSEWHERE: dict[str, str] = {
    "uformer/errors.py": "every test of a refusal",
    "uformer/__main__.py": "tests/test_cli.py",
    "uformer/restore/backends/base.py": "a protocol: the tests of each backend",
}
"""Modules without a test file of the same name, and the tests that cover them."""

NEEDS_TORCH = (
    "uformer.model",
    "uformer.restore.backends.pytorch",
    "uformer.export.numbered",
    "uformer.export.torch_program",
    *(
        f"uformer.train.{name}"
        for name in (
            *(
                "advice",
                "average",
                "comparison",
                "curves",
                "devices",
                "figures",
                "folder",
                "forecast",
                "learner",
                "loader",
                "loop",
                "losses",
                "muon",
                "objectives",
                "optimizers",
            ),
            *("processes", "report", "session", "sharding", "validate"),
        )
    ),
)
"""Modules that import torch or a package from the same extra."""

NEEDS_NAPARI = ("uformer.napari_plugin.widgets",)

SHARED_NAMES: dict[str, str] = {
    "command": "the command of a room; the room's name says which",
    "image": "the room image/, and the image itself",
    "uformer": "the package, and the network that it is named after",
    "recipe": "recipe is the value, recipes are those that ship",
}
"""Names that several modules or rooms share, and why they may."""


@pytest.fixture(scope="module")
def nodes() -> dict[str, list[ast.AST]]:
    """The nodes of each module's syntax tree, the module itself first."""
    return {
        name: list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for name, path in zip(NAMES, MODULES, strict=True)
    }


def loaded_after(code: str, *, without: tuple[str, ...] = ()) -> set[str]:
    """The top-level modules that `code` loads in a new interpreter, where importing `without` fails."""
    script = f"""
import json, sys
for name in {without!r}:
    sys.modules[name] = None
try:
    exec({code!r})
except SystemExit as stop:
    assert not stop.code, stop.code
print()
loaded = {{name.partition(".")[0] for name, module in sys.modules.items() if module is not None}}
print(json.dumps(sorted(loaded)))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def broken_contracts(folder: Path) -> str:
    """The broken contracts that import-linter finds in the package of a folder; empty if all are kept."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
        "--no-logo",
        "--no-cache",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


@pytest.mark.slow  # .ci/run and `make check` run lint-imports too
def test_imports_point_down() -> None:
    assert not broken_contracts(ROOT)


FORBIDDEN = (
    ("image/color.py", "uformer.weights.checkpoint", "Imports point down"),
    ("image/color.py", "torch", "not even indirectly"),
    ("image/samples.py", "uformer.image.read", "Inside image"),
    ("weights/create.py", "uformer.weights.hub", "Inside weights"),
    ("data/eligible.py", "uformer.data.pairs", "Inside data"),
    ("degradations/noise.py", "torch", "torch only in"),
    ("weights/checkpoint.py", "openvino", "openvino and onnxruntime only in"),
    ("files.py", "fastapi", "fastapi only in serve"),
    ("train/learner.py", "uformer.train.loop", "Inside train"),
)
"""A module, a module that it must not import, and the beginning of the contract that says so."""


def test_contracts_catch(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "uformer", tmp_path / "uformer", ignore=shutil.ignore_patterns("*.safetensors", "__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, imported, _ in FORBIDDEN:
        with open(tmp_path / "uformer" / module, "a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    (tmp_path / "uformer" / "somewhere.py").touch()
    broken = " ".join(broken_contracts(tmp_path).partition("Broken contracts")[2].split())
    for module, imported, contract in FORBIDDEN:
        arrow = f"{dotted(ROOT / 'uformer' / module)} -> {imported} (l."
        assert re.search(f"{contract}.*{re.escape(arrow)}", broken), f"{contract}: {arrow}"
    assert "are not listed as layers: - uformer.somewhere" in broken


@pytest.mark.parametrize(
    "code",
    [
        "import uformer; dir(uformer)",
        "import sys; sys.argv = ['uformer', 'restore', '--help']; from uformer.cli import main; main()",
    ],
    ids=["import", "restore --help"],
)
def test_start_loads_neither_torch_nor_openvino(code: str) -> None:
    assert not loaded_after(code) & {"torch", "openvino", "onnxruntime"}


@pytest.mark.parametrize(
    "first", ["uformer", "uformer.restore.options", "uformer.restore.restorer", "uformer.restore.pipeline"]
)
def test_restore_is_the_function_whatever_was_imported_first(first: str) -> None:
    loaded_after(
        f"import {first}; import uformer, types; assert isinstance(uformer.restore, types.FunctionType)"
    )


def test_import_loads_next_to_nothing() -> None:
    """`import uformer` runs before the command can handle Ctrl-C, so it must finish in a millisecond."""
    code = "import sys; before = set(sys.modules); import uformer; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT, check=True
    )
    assert done.stdout.split() == ["uformer", "uformer.restore"]


def test_all_but_the_network_imports_without_torch() -> None:
    names = [dotted(path) for path in MODULES if path.name != "__main__.py"]
    free = [name for name in names if not name.startswith(NEEDS_TORCH + NEEDS_NAPARI)]
    assert set(names) - set(free)
    loaded_after(f"import importlib\nfor name in {free!r}: importlib.import_module(name)", without=("torch",))


def test_imports_are_declared(nodes: dict[str, list[ast.AST]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [
        line for extra, lines in project["optional-dependencies"].items() if extra != "dev" for line in lines
    ]
    declared = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in project["dependencies"] + extras}
    imported: set[str] = set()
    for found in nodes.values():
        for node in found:
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    if "pyyaml" in declared:
        declared.add("yaml")
    callers = {"PIL"}  # imported only if a caller passes a Pillow image
    assert imported - set(sys.stdlib_module_names) - {"uformer"} - declared - callers == set()


def test_a_file_is_read_in_one_sitting() -> None:
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in NAMES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_each_module_has_its_tests() -> None:
    mirrors = {name: mirror(name) for name in NAMES if not name.endswith("__init__.py")}
    missing = {name for name, tests in mirrors.items() if not tests.exists()}
    assert missing - set(TESTED_ELSEWHERE) == set(), "tests/ has no file for them"
    assert set(TESTED_ELSEWHERE) - missing == set(), "they have tests now; take them off the list"


def mirror(name: str) -> Path:
    """Where a module's tests are."""
    inside = Path(name).relative_to("uformer")
    return ROOT / "tests" / inside.with_name(f"test_{inside.name}")


def test_lists_name_what_exists() -> None:
    assert {name for name in TESTED_ELSEWHERE if not (ROOT / name).exists()} == set()
    assert set(SHARED_NAMES) <= set(shared({name: module_name(name) for name in NAMES}))


def shared(names: dict[str, str]) -> dict[str, list[str]]:
    """The names that several keys share, with these keys."""
    keys: dict[str, list[str]] = {}
    for key, name in names.items():
        keys.setdefault(name, []).append(key)
    return {name: found for name, found in keys.items() if len(found) > 1}


def module_name(path: str) -> str:
    """A module or room name in the singular, because models and model would be confused."""
    where = Path(path)
    return (where.parent.name if where.name == "__init__.py" else where.stem).removesuffix("s")


def test_no_two_modules_share_a_name() -> None:
    found = shared({name: module_name(name) for name in NAMES})
    assert {name: paths for name, paths in found.items() if name not in SHARED_NAMES} == {}


def test_no_two_public_classes_share_a_name(nodes: dict[str, list[ast.AST]]) -> None:
    classes = {
        f"{name}:{node.lineno}": node.name
        for name, (module, *_) in nodes.items()
        if isinstance(module, ast.Module)
        for node in module.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert shared(classes) == {}


def test_no_module_imports_a_private_name_of_another(nodes: dict[str, list[ast.AST]]) -> None:
    found = [
        f"{name}:{node.lineno}: {alias.name}"
        for name, of_module in nodes.items()
        for node in of_module
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uformer")
        for alias in node.names
        if alias.name.startswith("_") and alias.name != "__version__"
    ]
    assert not found


def test_no_imports_run_in_a_circle(nodes: dict[str, list[ast.AST]]) -> None:
    """Imports inside functions count too."""
    imports: dict[str, set[str]] = {dotted(path): set() for path in MODULES}
    for path, found in zip(MODULES, nodes.values(), strict=True):
        for node in found:
            if isinstance(node, ast.ImportFrom) and node.module:
                names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                continue
            imports[dotted(path)] |= {name for name in names if name in imports} - {"uformer", dotted(path)}
    del imports["uformer"]  # apart from TYPE_CHECKING, it imports only an empty room
    tuple(graphlib.TopologicalSorter(imports).static_order())  # raises CycleError


def dotted(path: Path) -> str:
    return str(path.with_suffix("").relative_to(ROOT)).replace("/", ".").removesuffix(".__init__")


def test_nothing_hangs_on_an_assert(nodes: dict[str, list[ast.AST]]) -> None:
    """`python -O` removes assert statements."""
    found = [
        f"{name}:{node.lineno}"
        for name, of_module in nodes.items()
        for node in of_module
        if isinstance(node, ast.Assert)
    ]
    assert not found
