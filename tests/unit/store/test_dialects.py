"""What is true of one database only is said in that database's module, and nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine.store

ROOM = Path(engine.store.__file__).parent
OF_ONE = (
    ROOM / "sqlite.py",
    ROOM / "backup" / "sqlite_ends.py",
    ROOM / "postgresql",
    ROOM / "migrations",
    ROOM / "archive.py",
)
"""The archive reads SQLite's file, beside a running engine."""

WORDS = re.compile(
    r"\b(PRAGMA|sqlite_\w+|json_group_array|rowid|INSERT OR|unixepoch"
    r"|SKIP LOCKED|FOR UPDATE|ANY ?\(|unnest|pg_\w+|::\w+|ILIKE|RETURNING|PARTITION|interval '"
    r"|clock_timestamp|NOW\(\)|VACUUM|COPY \w+ FROM)",
    re.IGNORECASE,
)
DRIVERS = {"sqlite3", "psycopg", "sqlalchemy.dialects"}


def common_modules() -> list[Path]:
    found = [
        path
        for path in sorted(ROOM.rglob("*.py"))
        if not any(path == one or one in path.parents for one in OF_ONE)
    ]
    assert len(found) > 12
    return found


def statements(tree: ast.Module) -> Iterator[str]:
    """Texts that are no docstrings."""
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


@pytest.mark.parametrize("path", common_modules(), ids=lambda path: path.name)
def test_common_modules_speak_standard_sql(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    found = [match[0] for text in statements(tree) for match in WORDS.finditer(text)]
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [name for name in names if name.startswith(tuple(DRIVERS))]
    assert found == []


def test_the_words_are_found() -> None:
    text = 'x = "SELECT id FROM t FOR UPDATE SKIP LOCKED"\ny = "PRAGMA page_size"'
    found = [match[0] for part in statements(ast.parse(text)) for match in WORDS.finditer(part)]
    assert found == ["FOR UPDATE", "SKIP LOCKED", "PRAGMA"]
