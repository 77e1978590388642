"""A real store in an empty folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.store import SqliteDatabase, SqlStore
from engine.testing.store import GRACE


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    yield store
    await store.close(GRACE)
