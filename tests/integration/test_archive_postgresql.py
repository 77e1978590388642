"""Old content moved out of PostgreSQL, beside an engine that has the store open."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.contract import UnknownMessage
from engine.store import open_database, open_store
from engine.store.backup import archiving, changing, searching
from engine.store.backup.archiving import Moved
from engine.store.content import ContentFolder
from engine.testing.store import GRACE, identity
from tests.unit.store.filled import fill

LATER = datetime(2027, 1, 1, tzinfo=UTC)


async def test_content_moves_out_of_postgresql(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    store = open_store(database, data=tmp_path / "data")
    await store.open()
    await fill(store, 0, 20)
    before = {number: await store.load(identity(number)) for number in (0, 1, 6, 10, 11, 16)}
    beside = open_database(database, data=tmp_path / "data")
    reader = beside.connect_reader()
    with changing(beside) as writer:
        content = ContentFolder(tmp_path / "data" / "content")
        assert archiving.move(reader, writer, content, folder, LATER) == Moved(6, 6)
    with changing(beside) as writer:
        assert archiving.move(reader, writer, content, folder, LATER) == Moved(0, 0)
    reader.close()
    for number, message in before.items():
        _, parts = searching.show(folder, identity(number))
        assert parts[0].payload == message.payload
        with pytest.raises(UnknownMessage, match="STORE-PURGED"):
            await store.load(identity(number))
    assert (await store.load(identity(2))).payload.body, "one of its deliveries waits"
    assert len(searching.show(folder, identity(10))[1]) == 5
    await store.close(GRACE)
