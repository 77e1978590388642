"""Large content beside the database, and what retention does with it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.contract import (
    ChannelName,
    NewMessage,
    Payload,
    Query,
    State,
    StoreUnavailable,
    UnknownMessage,
)
from engine.store import SqliteDatabase, SqlStore, retention
from engine.store.content import LARGE, ContentFolder
from engine.store.requests import Job
from engine.testing.store import GRACE, START, identity, new_message, step, whole_outbox
from tests.unit.store.killed import abandon

LATER = START + timedelta(days=1)


def large(number: int, body: bytes) -> NewMessage:
    new = new_message(number)
    payload = Payload(body, "application/pdf")
    return replace(new, message=replace(new.message, payload=payload))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "content").rglob("*") if path.is_file())


async def test_only_what_is_large_becomes_a_file(store: SqlStore, tmp_path: Path) -> None:
    await store.accept(large(1, b"x" * LARGE))
    assert files(tmp_path) == []
    await store.accept(large(2, b"y" * (LARGE + 1)))
    assert len(files(tmp_path)) == 1
    for number, body in ((1, b"x" * LARGE), (2, b"y" * (LARGE + 1))):
        assert (await store.load(identity(number))).payload.body == body


async def test_same_content_is_kept_once_and_as_long_as_it_is_needed(
    store: SqlStore, tmp_path: Path
) -> None:
    body = os.urandom(LARGE + 1)
    one = await store.accept(large(1, body))
    other = await store.accept(large(2, body))
    third = await store.accept(new_message(3))
    await store.record(step(one, State.SENT, sent=Payload(b"small"), reply=Payload(body)))
    (answer,) = await store.record_all([step(third, State.SENT, sent=Payload(body))])
    assert answer is None
    assert len(files(tmp_path)) == 1
    history = await store.history(one.message_id, content=True)
    assert history[-1].reply == Payload(body)
    assert await store.purge(LATER, content_only=True) == 2
    assert len(files(tmp_path)) == 1, "the other message still needs it"
    await store.record(step(other, State.SENT))
    assert await store.purge(LATER, content_only=False) == 3
    assert files(tmp_path) == []
    assert not store._folder._pinned


async def test_a_file_that_is_gone_is_a_purged_content(store: SqlStore, tmp_path: Path) -> None:
    await store.accept(large(1, b"z" * (LARGE + 1)))
    files(tmp_path)[0].unlink()
    with pytest.raises(UnknownMessage, match="STORE-PURGED"):
        await store.load(identity(1))


def test_what_a_crash_left_is_found_when_it_is_old(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path / "content")
    digest = folder.keep(b"left behind")
    shelf = int(digest[:2], 16)
    assert list(folder.orphans(shelf)) == []
    path = tmp_path / "content" / digest[:2] / digest[2:]
    os.utime(path, (0, 0))
    assert list(folder.orphans(shelf)) == [digest]
    assert list(folder.orphans(shelf + 1)) == []
    assert not folder.discard(digest, lambda _: False), "it is pinned"
    folder.unpin(digest)
    assert not folder.discard(digest, lambda _: True), "a row refers to it"
    assert folder.discard(digest, lambda _: False)
    assert not path.exists()


def test_keeping_again_makes_it_young(tmp_path: Path) -> None:
    folder = ContentFolder(tmp_path / "content")
    digest = folder.keep(b"wanted again")
    os.utime(tmp_path / "content" / digest[:2] / digest[2:], (0, 0))
    assert folder.keep(b"wanted again") == digest
    assert list(folder.orphans(int(digest[:2], 16))) == []


async def test_content_that_cannot_be_written_is_refused(store: SqlStore, tmp_path: Path) -> None:
    (tmp_path / "content").write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailable, match="STORE-FULL"):
        await store.accept(large(1, b"x" * (LARGE + 1)))
    assert await store.search(Query()) == []
    assert not store._folder._pinned


async def test_orphans_are_swept_when_there_is_nothing_else_to_delete(
    store: SqlStore, tmp_path: Path
) -> None:
    digest = store._folder.keep(b"left behind")
    store._folder.unpin(digest)
    os.utime(files(tmp_path)[0], (0, 0))
    store._shelf = int(digest[:2], 16) - 1
    assert await store.purge(START, content_only=True) == 0
    assert files(tmp_path) == []


async def test_retention_is_by_channel(store: SqlStore) -> None:
    lab = ChannelName("lis-oru")
    for number in range(10):
        new = new_message(number, state=State.UNROUTED, deliveries=())
        channel = lab if number % 2 else new.message.channel
        await store.accept(replace(new, message=replace(new.message, channel=channel)))
    assert await store.purge(LATER, content_only=True, channel=lab, limit=3) == 3
    assert await store.purge(LATER, content_only=True, channel=lab, limit=3) == 2
    assert await store.purge(LATER, content_only=True, channel=lab, limit=3) == 0
    assert await store.purge(LATER, content_only=False, channel=lab) == 5
    assert len(await store.search(Query(channel=lab))) == 0
    assert len(await store.search(Query(channel="his-adt"))) == 5
    assert (await store.load(identity(0))).channel == "his-adt"
    assert await store.purge(LATER, content_only=True) == 5


async def test_ids_of_what_was_purged_are_not_given_again(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    stored = [await store.accept(new_message(number)) for number in range(3)]
    for one in stored:
        await store.record(step(one, State.SENT))
    assert await store.purge(LATER, content_only=False) == 3
    await abandon(store)
    await store.open()
    again = await store.accept(new_message(9))
    assert again.deliveries[0] > stored[-1].deliveries[0]
    assert len(await store.history(again.message_id)) == 1
    assert len(await whole_outbox(store)) == 1
    await store.close(GRACE)


async def test_what_was_replayed_meanwhile_stays(store: SqlStore) -> None:
    stored = await store.accept(new_message(1))
    await store.record(step(stored, State.SENT))
    seqs = await store._readers.run(retention.finished, LATER, None, 10, retention.Progress())
    assert seqs == [1]
    await store.replay(stored.deliveries[0], actor="tester")
    count, _ = await store._put(Job, lambda ledger: retention.delete(ledger, seqs, False))
    assert count == 0
    assert len(await whole_outbox(store)) == 1


async def test_deleted_content_is_not_in_the_file_any_more(store: SqlStore, tmp_path: Path) -> None:
    secret = b"a very particular text"
    new = large(1, secret * 40)
    stored = await store.accept(new)
    await store.record(step(stored, State.SENT))
    await store.purge(LATER, content_only=True)
    await store.close(GRACE)
    assert secret not in (tmp_path / "carebus.db").read_bytes()
