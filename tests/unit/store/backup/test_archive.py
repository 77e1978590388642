"""The archive: nothing is lost and nothing there twice, whenever the moving is killed."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from engine.contract import State, UnknownMessage
from engine.store import SqliteDatabase, SqlStore
from engine.store.backup import archiving, changing, searching
from engine.store.backup.archiving import Moved
from engine.store.backup.day_file import DayFile
from engine.store.backup.failures import BackupError
from engine.store.backup.searching import Wanted
from engine.store.content import ContentFolder
from engine.testing.store import START, identity, step
from tests.unit.store.filled import BIG, fill

LATER = datetime(2027, 1, 1, tzinfo=UTC)
FINISHED = {0, 1, 6}  # of each ten, see filled.py


def move(data: Path, folder: Path, older_than: datetime = LATER) -> Moved:
    database = SqliteDatabase(data / "carebus.db")
    reader = database.connect_reader()
    folder.mkdir(exist_ok=True)
    try:
        with changing(database) as writer:
            content = ContentFolder(data / "content")
            return archiving.move(reader, writer, content, folder, older_than)
    finally:
        reader.close()


def ids(folder: Path, wanted: Wanted | None = None) -> list[str]:
    return [entry.id for entry in searching.search(folder, wanted or Wanted())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def test_finished_content_moves_and_can_be_read(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 20)
    before = {number: await store.load(identity(number)) for number in range(20)}
    history = await store.history(identity(10), content=True)
    assert move(tmp_path, folder) == Moved(6, 6)
    assert ids(folder) == [identity(n) for n in range(20) if n % 10 in FINISHED]
    for number in range(20):
        if number % 10 not in FINISHED:
            assert await store.load(identity(number)) == before[number]
            continue
        with pytest.raises(UnknownMessage, match="STORE-PURGED"):
            await store.load(identity(number))
        _, parts = searching.show(folder, identity(number))
        assert parts[0].payload == before[number].payload
    _, parts = searching.show(folder, identity(10))
    told = [payload for event in history for payload in (event.sent, event.reply) if payload]
    assert [part.payload for part in parts[1:]] == told
    assert [part.what for part in parts] == ["content", "sent", "reply", "sent", "reply"]
    assert searching.show(folder, identity(1))[1][1].payload.body == BIG
    assert len(await store.history(identity(10))) == len(history), "the record stays"
    assert move(tmp_path, folder) == Moved(0, 0)
    assert [messages for _, messages in searching.verify(folder)] == [6]


async def test_only_what_is_old_enough(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 20)
    assert move(tmp_path, folder, START + timedelta(seconds=10)).archived == 3
    assert max(ids(folder)) == identity(6)


async def test_it_is_searched_by_what_the_store_is_searched_by(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 20)
    move(tmp_path, folder)
    assert ids(folder, Wanted(control_id="C10")) == [identity(10)]
    assert ids(folder, Wanted(keys={"patient": "P1"})) == [identity(n) for n in (1, 6, 11, 16)]
    assert ids(folder, Wanted(keys={"patient": "P1", "visit": "V11"})) == [identity(11)]
    assert ids(folder, Wanted(control_id="P1")) == []
    assert ids(folder, Wanted(channel="his-adt", since=START + timedelta(seconds=11))) == [
        identity(11), identity(16),
    ]  # fmt: skip
    assert ids(folder, Wanted(until=START)) == []
    assert ids(folder, Wanted(since=START + timedelta(days=2))) == []
    with pytest.raises(BackupError, match="ARCHIVE-UNKNOWN"):
        searching.show(folder, "019b8d5e-ffff-7000-8000-000000000000")


async def test_what_is_replayed_in_between_stays(
    store: SqlStore, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await fill(store, 0, 2)
    append = DayFile.append
    replays = [stored[0].deliveries[0]]

    def replayed(self: DayFile, messages: object) -> None:
        append(self, messages)  # type: ignore[arg-type]
        if replays:
            data = SqliteDatabase(tmp_path / "carebus.db").connect_writer()
            data.execute("UPDATE delivery SET state = 'queued', event = 99 WHERE id = 1")
            data.commit()
            data.close()
            replays.clear()

    monkeypatch.setattr(DayFile, "append", replayed)
    assert move(tmp_path, folder) == Moved(2, 1)
    again = await store.load(identity(0))
    assert again.payload.body
    await store.record(step(stored[0], State.SENT, sent=again.payload))
    assert move(tmp_path, folder) == Moved(1, 1)
    assert ids(folder) == [identity(0), identity(1)], "as it was last, once"
    _, parts = searching.show(folder, identity(0))
    assert len(parts) == 6


async def test_days_have_files_of_their_own(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 2)
    await fill(store, 86400, 2)
    move(tmp_path, folder)
    found = sorted(f"2026/{name}" for name in os.listdir(folder / "2026"))
    assert found == [
        "2026/2026-01-05.data.gz", "2026/2026-01-05.index.gz",
        "2026/2026-01-06.data.gz", "2026/2026-01-06.index.gz",
    ]  # fmt: skip
    assert {os.stat(folder / name).st_mode & 0o777 for name in found} == {0o600}


@pytest.mark.parametrize("torn", ["data", "index", "both"])
async def test_what_a_kill_left_is_cut_off(
    store: SqlStore, tmp_path: Path, folder: Path, torn: str
) -> None:
    await fill(store, 0, 10)
    move(tmp_path, folder, START + timedelta(seconds=1))
    day = DayFile(folder, date(2026, 1, 5))
    for name, path in (("data", day.data), ("index", day.index)):
        if torn in (name, "both"):
            path.write_bytes(path.read_bytes() + path.read_bytes()[:30])
    assert ids(folder) == [identity(0)], "a reader sees whole batches"
    assert move(tmp_path, folder) == Moved(2, 2)
    assert ids(folder) == [identity(0), identity(1), identity(6)]
    assert [messages for _, messages in searching.verify(folder)] == [3]


async def test_damage_stops_it_before_anything_leaves_the_store(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 10)
    move(tmp_path, folder, START + timedelta(seconds=1))
    day = DayFile(folder, date(2026, 1, 5))
    whole = day.data.read_bytes()
    day.data.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    with pytest.raises(BackupError, match="ARCHIVE-DAMAGED"):
        list(searching.verify(folder))
    day.data.write_bytes(whole[:-1])
    with pytest.raises(BackupError, match="ARCHIVE-DAMAGED"):
        move(tmp_path, folder)
    assert (await store.load(identity(1))).payload.body
