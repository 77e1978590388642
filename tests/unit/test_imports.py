"""The house keeps its walls: who may import whom, where each library lives, and which modules are
pure.  A new room, library or exception is one line here, in plain sight of a review."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each room and what it may import of the engine, besides itself.
BELOW: dict[str, set[str]] = {
    "contract": set(),
    "units": set(),
    "settings": {"contract"},
    "formats": {"contract"},
    "syntax": {"contract"},
    "mapping": {"contract", "units", "formats", "syntax"},
    "security": {"contract", "units"},
    "store": {"contract", "units"},
    "broker": {"contract", "units"},
    "observe": {"contract", "units"},
}
BELOW["config"] = {"contract", "units", "formats", "syntax", "mapping", "security"}
BELOW["flow"] = BELOW["config"] | {"config", "store", "broker", "observe", "settings"}
BELOW["api"] = BELOW["flow"] | {"flow"}
BELOW["cli"] = BELOW["api"] | {"api"}
BELOW["demo"] = BELOW["cli"] | {"cli"}
BELOW["guide"] = {"contract", "formats", "syntax"}
BELOW["testing"] = {"contract", "units", "formats"}
FOR_CONNECTORS = {"contract", "units", "formats"}

ANYWHERE = {"pydantic", "orjson", "structlog"}  # values, JSON, a log line
HOMES: dict[str, set[str]] = {
    "aiohttp": {"engine.cli", "engine.demo"},
    "alembic": {"engine.store"},
    "antlr4": {"engine.mapping"},
    "fhir": {"engine.formats"},
    "fhirpathpy": {"engine.mapping"},
    "hl7apy": {"engine.formats"},
    "httptools": {"connectors.webclient", "connectors.weblistener"},
    "jsonpath": {"engine.mapping"},
    "jsonschema_rs": {"engine.formats"},
    "lark": {"engine.mapping"},
    "lxml": {"engine.formats"},
    "pika": {"engine.broker"},
    "pint": {"engine.mapping"},
    "prometheus_client": {"engine.api", "engine.observe"},
    "psycopg": {"engine.store"},
    "pypinyin": {"engine.mapping"},
    "pytest": {"engine.testing"},
    "rich": {"engine.cli", "engine.demo"},
    "sqlalchemy": {"engine.store"},
    "starlette": {"engine.api", "connectors.http", "connectors.weblistener"},
    "striprtf": {"engine.mapping"},
    "typer": {"engine.cli", "engine.demo"},
    "ucumvert": {"engine.mapping"},
    "uvicorn": {"engine.api", "engine.cli", "connectors.weblistener"},
    "uvloop": {"engine.cli"},
    "watchfiles": {"engine.config"},
    "yaml": {"engine.syntax"},
}

# No event loop, clock, chance or I/O: the same input gives the same output.
PURE = (
    "engine/units.py",
    "engine/formats",
    "engine/syntax",
    "engine/mapping",
    "engine/config/allowances.py",
    "engine/config/changes.py",
    "engine/config/channel_file.py",
    "engine/config/project.py",
    "engine/config/routes.py",
    "engine/config/shape.py",
    "engine/config/validation.py",
    "engine/config/versions.py",
    "engine/flow/outcomes.py",
    "engine/flow/pressure.py",
    "engine/flow/retry.py",
    "engine/flow/routing.py",
    "engine/store/states.py",
)
EDGES = {  # where a pure room reads its files
    "engine/formats/fhir/definitions/__init__.py",
    "engine/formats/hl7v2/dictionary.py",
    "engine/formats/validators.py",
    "engine/formats/hl7v2/structure_table.py",
    "engine/mapping/examples.py",
    "engine/mapping/functions/__init__.py",
    "engine/mapping/library.py",
}
IMPURE_MODULES = {
    "asyncio", "concurrent", "http", "importlib", "io", "logging", "multiprocessing", "os",
    "random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time",
}  # fmt: skip
IMPURE_CALLS = {
    "fromtimestamp", "now", "open", "read_bytes", "read_text", "today", "utcnow", "uuid1", "uuid4",
    "write_bytes", "write_text",
}  # fmt: skip


def modules() -> list[Path]:
    found = [path for top in ("engine", "connectors") for path in (ROOT / top).rglob("*.py")]
    assert len(found) > 50
    return sorted(found)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, those inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            if module in ("engine", "connectors"):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, module


def room_of(dotted: str) -> str:
    """``engine.flow.intake`` → ``flow``."""
    return dotted.split(".")[1]


def package_of(path: Path) -> str:
    """``connectors/mllp/source.py`` → ``connectors.mllp``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[:2])


def is_connector(package: str) -> bool:
    """What connectors share (connectors/webclient) is in folders that offer no SPEC."""
    init = ROOT.joinpath(*package.split("."), "__init__.py")
    return init.is_file() and re.search(r"^SPEC\b", init.read_text("utf-8"), re.M) is not None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(path: Path) -> None:
    package = package_of(path)
    top, room = package.split(".")
    wrong: list[str] = []
    for line, name in imports(path):
        first = name.split(".")[0]
        if first == "engine":
            allowed = FOR_CONNECTORS if top == "connectors" else BELOW.get(room, set()) | {room}
            fine = room == "__init__" or room_of(f"{name}.") in allowed
        elif first == "connectors":
            other = ".".join(name.split(".")[:2])
            fine = top == "connectors" and (other == package or not is_connector(other))
        elif first == "" or first in sys.stdlib_module_names:
            fine = first != ""  # relative imports hide where something comes from
        else:
            fine = first in ANYWHERE or package in HOMES.get(first, set())
        if not fine:
            wrong.append(f"line {line} imports {name}")
    assert wrong == []


def test_every_room_has_a_rule() -> None:
    rooms = {
        path.relative_to(ROOT / "engine").parts[0].removesuffix(".py")
        for path in (ROOT / "engine").rglob("*.py")
    }
    assert rooms - {"__init__"} <= BELOW.keys()


def test_every_home_is_lived_in() -> None:
    """A library that nobody imports any more leaves the table (and requirements.txt)."""
    used = {
        (name.split(".")[0], package_of(path)) for path in modules() for _, name in imports(path)
    }
    assert {library for library in HOMES if library not in {name for name, _ in used}} == set()


def pure_modules() -> list[Path]:
    found: list[Path] = []
    for name in PURE:
        path = ROOT / name
        assert path.exists(), f"{name} is gone: take it off the list"
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [path for path in found if str(path.relative_to(ROOT)) not in EDGES]


@pytest.mark.parametrize("path", pure_modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure(path: Path) -> None:
    wrong = [
        f"line {line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] in IMPURE_MODULES
    ]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in IMPURE_CALLS:
                wrong.append(f"line {node.lineno} calls {name}()")
    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_promise(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "base", "common", "misc"}
    if tree_of(path).body:
        assert ast.get_docstring(tree_of(path)), "the module says nothing about itself"
