"""The schema the code speaks of is the schema the migrations make."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from engine.contract import StoreUnavailable
from engine.store import migrate, schema, sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "carebus.db"
    sqlite.bring_up_to_date(path)
    return path


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    folder = Path(migrate.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == schema.REVISION


def test_migrations_make_the_schema(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        found = inspect(connection)
        for table in schema.metadata.tables.values():
            made = {index["name"] for index in found.get_indexes(table.name)}
            assert made == {index.name for index in table.indexes}, table.name
    engine.dispose()


def test_migrations_and_metadata_give_the_same_statements(path: Path, tmp_path: Path) -> None:
    """Column types, partial conditions, WITHOUT ROWID: word for word."""
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    schema.metadata.create_all(other)
    other.dispose()

    def statements(file: Path) -> set[str]:
        connection = sqlite3.connect(file)
        rows = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
            " AND name <> 'alembic_version'"
        ).fetchall()
        connection.close()
        return {" ".join(row[0].split()) for row in rows}

    assert statements(path) == statements(tmp_path / "other.db")


def test_an_up_to_date_database_needs_no_migration_library(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.store import sqlite;"
        f"sqlite.bring_up_to_date(Path({str(path)!r})); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_database_of_a_newer_engine_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreUnavailable, match="newer engine"):
        sqlite.bring_up_to_date(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "carebus.db"
    path.write_bytes(b"not a database" * 500)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        sqlite.bring_up_to_date(path)
    assert sqlite.translate(caught.value).info.code == "STORE-DAMAGED"


def test_writers_are_durable(path: Path) -> None:
    connection = sqlite.connect_writer(path)
    values = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "secure_delete", "auto_vacuum")
    }
    connection.close()
    assert values == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "auto_vacuum": 2}


def test_readers_cannot_write(path: Path) -> None:
    connection = sqlite.connect_reader(path)
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM message")
    connection.close()
