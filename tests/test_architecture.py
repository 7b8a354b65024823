"""What the layout promises: who imports whom, how soon a command starts, how long things may get."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = "orca_guard"
PLUGINS = sorted(p.parent for folder in ("plugins", "strategies") for p in (ROOT / folder).glob("*/__init__.py"))
MODULES = sorted((ROOT / CORE).rglob("*.py"))

HEAVY = {
    "accelerate",
    "detoxify",
    "numpy",
    "peft",
    "safetensors",
    "scipy",
    "sentencepiece",
    "tokenizers",
    "torch",
    "transformers",
}
"""What takes long to import."""

ARITHMETIC = {"numpy", "scipy"}
"""What core may import when it is about to compute, and no sooner."""

MODEL_MAKERS = {"orca_guard/testing/orca2_fixture.py"}
"""Core modules that write model files, for tests."""

ORDER = (
    ("types",),
    ("errors",),
    ("identity",),
    ("correction",),
    ("items",),
    ("contracts",),
    ("hookspecs",),
    ("host",),
    ("guards",),
    ("drive",),
    ("case",),
    ("pipeline",),
    ("placing",),
    ("assembly",),
    ("plan", "policies", "baselines", "declarations", "measuring", "recording"),
    ("freezing",),
    ("bench",),
    ("testing",),
    ("doctor",),
    ("sealing",),
    ("audit",),
    ("verify",),
    ("api",),
    ("cli",),
)
"""A module imports, when it is imported itself, none that stands after it. Modules not named may stand anywhere."""

KNOW = {
    "types": set[str](),
    "errors": set[str](),
    "stats": set[str](),
    "prompts": {"types"},
    "reading": {"types"},
    "items": {"correction", "errors", "identity", "types"},
    "contracts": {"items", "reports", "types"},
    "scoring": {"errors", "items", "overlap", "reading", "types"},
    "overlap": set[str](),
    "paired": {"stats"},
    "correction": {"stats"},
    "data": {"errors", "identity", "items", "journal"},
    "gates": {"errors", "stats"},
    "sequential": {"stats"},
    "tables": {"correction", "errors", "gates", "items", "paired", "roster", "sequential", "stats"},
    "stopping": {"gates", "sequential", "tables"},
    "figures": {"errors", "gates", "identity", "judging", "paired", "stats", "stopping", "tables"},
    "reviewed": {"errors", "figures", "gates", "identity", "journal", "reports"},
    "roster": set[str](),
    "journal": {"errors", "identity", "roster"},
    "reports": {"errors", "identity", "items", "journal", "paired", "roster", "stats", "types"},
    "packs": {"errors", "items", "rows", "types"},
    "policies": {"errors", "identity"},
    "baselines": {"errors", "identity", "items", "journal"},
    "verify": {
        "errors",
        "figures",
        "gates",
        "identity",
        "items",
        "journal",
        "judging",
        "packs",
        "paired",
        "reading",
        "scoring",
        "stats",
        "types",
    },
}
"""Modules that know these others of core and no more, at any level."""

LONG_FILES = {
    "orca_guard/reading.py": "one reader for four forms, and its vectors hold it together",
    "orca_guard/types.py": "every noun on one page",
    "orca_guard/contracts.py": "every contract on one page",
    "orca_guard/host.py": "the only file that touches pluggy",
    "orca_guard/reports/summary.py": "every part of a report on one page",
    "plugins/orca_guard_nano/recipe/chat.py": "tables of phrases",
    "plugins/orca_guard_nano/recipe/facts.py": "tables of phrases",
    "plugins/orca_guard_nano/recipe/reading.py": "tables of phrases",
}
LONG_FUNCTIONS: dict[str, str] = {}
MOST_LINES = {"file": 450, "function": 60}


# --- reading the source ------------------------------------------------------------------------


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def named(path: Path) -> str:
    """The module in a file of core, without `orca_guard.` in front: `cli.run`."""
    parts = path.relative_to(ROOT / CORE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Every module that these nodes import, by its full name; `from orca_guard import host` is `orca_guard.host`."""
    root = next(root for root in (ROOT / "plugins", ROOT / "strategies", ROOT) if path.is_relative_to(root))
    inside = path.relative_to(root).with_suffix("").parts
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(inside[: len(inside) - node.level]) if node.level else ""
            module = ".".join(filter(None, (above, node.module)))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def at_once(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """What runs when a module is imported: not the inside of functions, nor what only type checkers read."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_once(node.orelse)
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from at_once(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from at_once(handler.body)


def anywhere(path: Path) -> set[str]:
    return set(imported(path, ast.walk(tree(path))))


def soon(path: Path) -> set[str]:
    return set(imported(path, at_once(tree(path).body)))


def of_core(modules: set[str]) -> set[str]:
    """Those that are modules of core, without what is imported from them."""
    known = {named(path) for path in MODULES}
    found = set()
    for module in modules:
        parts = module.split(".")[1:] if module.split(".")[0] == CORE else []
        while parts and ".".join(parts) not in known:
            parts.pop()
        found |= {".".join(parts)} if parts else set()
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tops(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


# --- who imports whom --------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_core_imports_no_plugin_and_nothing_heavy(path: Path) -> None:
    found = tops(anywhere(path))
    assert not {name for name in found if name.startswith(f"{CORE}_")}
    assert relative(path) in MODEL_MAKERS or not found & (HEAVY - ARITHMETIC)
    assert relative(path) in MODEL_MAKERS or not tops(soon(path)) & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_core_names_no_plugin(path: Path) -> None:
    """A text that begins with a plugin's package is an import in disguise."""
    packages = tuple(plugin.name for plugin in PLUGINS)
    texts = {n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    assert not {text for text in texts if text.startswith(packages)}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_imports_core_and_itself_alone(plugin: Path) -> None:
    ours = {name for path in plugin.rglob("*.py") for name in tops(anywhere(path)) if name.startswith(CORE)}
    assert ours <= {CORE, plugin.name}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)
def test_a_plugin_registers_without_importing_anything_heavy(plugin: Path) -> None:
    """Registration needs the hook marker, contracts, and the standard library."""
    found = soon(plugin / "__init__.py")
    assert tops(found) <= {CORE} | set(sys.stdlib_module_names)
    assert of_core(found) <= {"contracts", "hookspecs", "types"}


def test_only_the_host_touches_pluggy() -> None:
    assert {relative(path) for path in MODULES if "pluggy" in tops(anywhere(path))} == {
        "orca_guard/hookspecs.py",
        "orca_guard/host.py",
    }


def test_core_modules_stand_in_order() -> None:
    rank = {name: position for position, names in enumerate(ORDER) for name in names}
    wrong = [
        f"{named(path)} imports {module}"
        for path in MODULES
        for module in of_core(soon(path))
        if rank.get(named(path).partition(".")[0], len(ORDER)) < rank.get(module.partition(".")[0], -1)
    ]
    assert not wrong


def test_core_imports_go_round_in_no_circle() -> None:
    graph = {named(path): of_core(soon(path)) - {named(path)} for path in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))


@pytest.mark.parametrize("name", KNOW)
def test_a_module_knows_no_more_than_it_should(name: str) -> None:
    for path in MODULES:
        if named(path).partition(".")[0] == name:
            others = {module.partition(".")[0] for module in of_core(anywhere(path))} - {name}
            assert others <= KNOW[name], relative(path)


def test_nothing_imports_the_command_line() -> None:
    users = {named(path) for path in MODULES if "cli" in {m.partition(".")[0] for m in of_core(anywhere(path))}}
    assert {user.partition(".")[0] for user in users} <= {"cli"}


# --- how soon a command starts -----------------------------------------------------------------

IMPORTED = """
import sys
from orca_guard.cli import invoke
code = invoke(sys.argv[1:])
print("imported", code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def modules_of(code: str, *arguments: str) -> set[str]:
    command = (sys.executable, "-c", code, *arguments)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    mark, status, *names = said.split()
    assert (mark, status) == ("imported", "0")
    return set(names)


@pytest.mark.parametrize("line", ["--help", "--version", "plugins", "plugins --json", "run --help"])
def test_a_listing_imports_nothing_heavy(line: str) -> None:
    assert not modules_of(IMPORTED, *line.split()) & HEAVY


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, orca_guard; print('imported 0', *sorted({name.partition('.')[0] for name in sys.modules}))"
    assert not modules_of(code) & (HEAVY | {"click", "rich", "pluggy", "msgspec"})


def test_loading_every_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom orca_guard import Host\nHost.installed().everything()\n"
        "print('imported 0', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    assert not modules_of(code) & HEAVY


# --- how long things may get -------------------------------------------------------------------

SOURCES = sorted({*MODULES, *(path for plugin in PLUGINS for path in plugin.rglob("*.py"))})


def test_files_stay_short() -> None:
    lines = {relative(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    long = {name: count for name, count in lines.items() if count > MOST_LINES["file"] and name not in LONG_FILES}
    assert not long, "divide the file, or give a reason in LONG_FILES"


def test_functions_stay_short() -> None:
    long = {}
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min((node.lineno, *(d.lineno for d in node.decorator_list)))
                length = (node.end_lineno or first) - first + 1
                name = f"{relative(path)}:{node.name}"
                if length > MOST_LINES["function"] and name not in LONG_FUNCTIONS:
                    long[name] = length
    assert not long, "divide the function, or give a reason in LONG_FUNCTIONS"
