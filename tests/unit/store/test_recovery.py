"""After a stop that was not clean; one engine for each folder; a person's steps."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from engine.contract import (
    ConfigError,
    DeliveryId,
    IllegalTransition,
    NewDelivery,
    State,
    StoreUnavailable,
    UnknownMessage,
)
from engine.store import SqliteDatabase, SqlStore, open_store
from engine.store.lock import FolderLock
from engine.testing.store import GRACE, OUTBOUND, new_message, step, whole_outbox
from tests.unit.store.killed import abandon


async def test_a_send_that_was_under_way_becomes_uncertain(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    begun, sent, unmarked, waiting = [await store.accept(new_message(n)) for n in range(4)]
    await store.begin(begun.deliveries[0], 3)
    await store.begin(sent.deliveries[0], 1)
    await store.record(step(sent, State.SENT))
    await store.begin(unmarked.deliveries[0], 1)
    await store.begin(unmarked.deliveries[0], 0)
    await abandon(store)

    await store.open()
    assert await store.recover() == {"uncertain": 1, "possible_duplicate": 2, "unclean": 1}
    entries = {entry.delivery: entry for entry in await whole_outbox(store)}
    assert entries.keys() == {*begun.deliveries, *unmarked.deliveries, *waiting.deliveries}
    held = entries[begun.deliveries[0]]
    assert held.state is State.UNCERTAIN
    assert held.attempt == 3
    assert all(entry.possible_duplicate for entry in entries.values())
    event = (await store.history(begun.message_id))[-1]
    assert event.error is not None
    assert event.error.code == "STORE-CRASH"
    assert event.possible_duplicate
    assert await store.recover() == {"uncertain": 0, "possible_duplicate": 0, "unclean": 0}
    await store.close(GRACE)


async def test_a_clean_stop_flags_nothing(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    await store.accept(new_message(1))
    await store.close(GRACE)
    await store.open()
    assert await store.recover() == {"uncertain": 0, "possible_duplicate": 0, "unclean": 0}
    (entry,) = await whole_outbox(store)
    assert not entry.possible_duplicate
    await store.close(GRACE)


async def test_many_unfinished_are_flagged_in_steps(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.recovery._STEP", 7)
    for number in range(30):
        await store.accept(new_message(number))
    store._clean = False
    assert (await store.recover())["possible_duplicate"] == 30
    assert await store.relane(OUTBOUND, 1) == 0


async def test_relane_computes_every_lane_again(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.recovery._STEP", 5)
    for number in range(24):
        target = NewDelivery("r", "t", OUTBOUND, lane=number % 2, key_hash=2**32 - 1 - number)
        await store.accept(new_message(number, deliveries=(target,)))
    assert await store.relane(OUTBOUND, 2) == 24  # every hash is odd where the lane was even
    changed = await store.relane(OUTBOUND, 8)
    assert changed == 18
    for lane in range(8):
        assert len(await whole_outbox(store, lane=lane)) == 3


async def test_a_replay_counts_anew_and_says_that_it_may_be_a_copy(store: SqlStore) -> None:
    dead, sent = [await store.accept(new_message(number)) for number in range(2)]
    await store.record(step(dead, State.DEAD))
    await store.record(step(sent, State.SENT))
    entry = await store.replay(dead.deliveries[0], actor="li.wei")
    assert (entry.attempt, entry.possible_duplicate) == (0, False)
    entry = await store.replay(sent.deliveries[0], actor="li.wei")
    assert (entry.attempt, entry.possible_duplicate) == (0, True)
    events = await store.history(sent.message_id)
    assert [event.actor for event in events] == ["engine", "engine", "li.wei"]
    await store.cancel(sent.deliveries[0], actor="wang")
    with pytest.raises(IllegalTransition, match="cancelled cannot become cancelled"):
        await store.cancel(sent.deliveries[0], actor="wang")
    with pytest.raises(UnknownMessage):
        await store.cancel(DeliveryId(77), actor="wang")


async def test_a_second_engine_is_refused(store: SqlStore, tmp_path: Path) -> None:
    other = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    with pytest.raises(StoreUnavailable, match="another engine is running on"):
        await other.open()
    await store.close(GRACE)
    await other.open()
    await other.close(GRACE)


def _take_and_wait(folder: Path, taken: multiprocessing.connection.Connection) -> None:
    lock = FolderLock(folder)
    lock.take()
    taken.send("taken")
    taken.recv()


def test_the_lock_of_a_killed_engine_is_free(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_take_and_wait, args=(tmp_path, theirs))
    child.start()
    assert ours.recv() == "taken"
    lock = FolderLock(tmp_path)
    with pytest.raises(StoreUnavailable):
        lock.take()
    child.kill()
    child.join()
    lock.take()
    lock.release()
    lock.release()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqlStore(SqliteDatabase(tmp_path / "file" / "carebus.db"), tmp_path / "file")
    with pytest.raises(StoreUnavailable, match="data folder cannot be used"):
        await store.open()


async def test_a_damaged_database_is_said_and_not_locked(tmp_path: Path) -> None:
    path = tmp_path / "carebus.db"
    path.write_bytes(b"not a database" * 500)
    store = SqlStore(SqliteDatabase(path), tmp_path)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="STORE-DAMAGED"):
            await store.open()


@pytest.mark.parametrize(
    "url",
    ["nonsense", "mysql://localhost/x", "postgresql://h/db?no_such=1", "sqlite:///:memory:"],
)
def test_urls_that_are_not_served(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="STORE-URL"):
        open_store(url, data=tmp_path)


def test_urls_that_are(tmp_path: Path) -> None:
    for url, path in (
        ("sqlite://", tmp_path / "carebus.db"),
        ("sqlite:////srv/x.db", Path("/srv/x.db")),
    ):
        database = open_store(url, data=tmp_path).database
        assert isinstance(database, SqliteDatabase)
        assert database.path == path
