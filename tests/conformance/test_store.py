"""The store's promises: SQLite and PostgreSQL keep them, and wrong stores are caught on both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.store import PostgresDatabase, SqliteDatabase, SqlStore
from engine.testing.promises import broken_promises
from engine.testing.store import StoreConformance, StoreName
from tests.conformance.wrong_stores import WRONG
from tests.servers.postgresql import PostgresServer

ENCRYPTED = (
    "encryption of what is stored comes with the security room; until then the data belongs on an"
    " encrypted disk"
)


def made(folder: Path) -> SqlStore:
    """What a harness wrote into the folder says which store: its kind, and the database's URL."""
    kind, url = (folder / "store").read_text().split()
    database = SqliteDatabase(folder / "carebus.db") if url == "sqlite" else PostgresDatabase(url)
    return WRONG.get(kind, SqlStore)(database, folder)


class SqliteHarness:
    spec = StoreName("sqlite")
    lacks: Mapping[str, str] = {"encrypted": ENCRYPTED}
    factory = "tests.conformance.test_store:made"
    kind = "right"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self) -> str:
        return "sqlite"

    async def start(self) -> None:
        (self.folder / "store").write_text(f"{self.kind} {self.url()}")

    async def stop(self) -> None: ...
    async def stored_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


class PostgresHarness(SqliteHarness):
    spec = StoreName("postgresql")
    server: PostgresServer

    def url(self) -> str:
        return self.server.create_database()

    async def stored_bytes(self) -> bytes:
        with self.server.connect() as connection:
            connection.execute("CHECKPOINT")
        files = self.server.data.rglob("*")
        return b"".join(path.read_bytes() for path in files if path.is_file())


class TestSqliteStore(StoreConformance):
    harness = SqliteHarness


class TestPostgresStore(StoreConformance):
    harness = PostgresHarness

    @pytest.fixture(autouse=True)
    def server(self, postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PostgresHarness, "server", postgresql, raising=False)


class Shorter(StoreConformance):
    kills = 1
    messages = 60


@pytest.mark.parametrize("harness", [SqliteHarness, PostgresHarness])
@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        ("early", {"T1", "T3", "T5", "T7"}),
        ("forgetful", {"T2"}),
        ("obliging", {"T3"}),
        ("repeating", {"T1", "T2", "T4", "T5"}),
        ("thorough", {"T5"}),
        ("vague", {"T7"}),
    ],
)
async def test_wrong_stores_are_caught(
    harness: type[SqliteHarness], wrong: str, caught: set[str], postgresql: PostgresServer
) -> None:
    kind = type("Harness", (harness,), {"kind": wrong, "server": postgresql})
    assert set(await broken_promises(Shorter, kind)) == caught
