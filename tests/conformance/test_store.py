"""The store's promises: the SQLite store keeps them, and wrong ones are caught."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.store import SqlStore
from engine.testing.promises import broken_promises
from engine.testing.store import StoreConformance, StoreName


def sqlite(folder: Path) -> SqlStore:
    return SqlStore(folder / "carebus.db", folder)


class SqliteHarness:
    spec = StoreName("sqlite")
    lacks: Mapping[str, str] = {
        "encrypted": "encryption of what is stored comes with the security room; until then the"
        " data folder belongs on an encrypted disk"
    }
    factory = "tests.conformance.test_store:sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def stored_bytes(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


class TestSqliteStore(StoreConformance):
    harness = SqliteHarness


class Shorter(StoreConformance):
    kills = 1
    messages = 60


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
async def test_wrong_stores_are_caught(wrong: str, caught: set[str]) -> None:
    factory = f"tests.conformance.wrong_stores:{wrong}"
    harness = type("Harness", (SqliteHarness,), {"factory": factory})
    assert set(await broken_promises(Shorter, harness)) == caught
