"""Duplicates: windows, rollbacks, and a table that stays as small as its window."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.contract import NewMessage, StoreUnavailable
from engine.store import SqliteDatabase, SqlStore
from engine.testing.store import GRACE, START, new_message

HOUR = timedelta(hours=1)


def copy(number: int, key: str, within: timedelta | None = HOUR) -> NewMessage:
    return new_message(number, dedup_key=key, dedup_within=within)


async def test_the_window_begins_with_the_first_copy(store: SqlStore) -> None:
    first = await store.accept(copy(0, "k"))
    second = await store.accept(copy(3599, "k"))
    assert (second.duplicate, second.message_id) == (True, first.message_id)
    third = await store.accept(copy(3600, "k"))
    assert not third.duplicate
    assert (await store.accept(copy(3601, "k"))).message_id == third.message_id


async def test_a_key_without_a_window_is_known_for_ever(store: SqlStore) -> None:
    await store.accept(copy(0, "k", None))
    assert (await store.accept(copy(10**8, "k", None))).duplicate


async def test_a_copy_of_a_message_that_was_not_stored_is_the_first(store: SqlStore) -> None:
    spoiled = replace(copy(1, "k"), peer=object())  # type: ignore[arg-type]
    answers = await asyncio.gather(
        store.accept(spoiled), store.accept(copy(2, "k")), return_exceptions=True
    )
    assert isinstance(answers[0], StoreUnavailable)
    assert not isinstance(answers[1], BaseException)
    assert not answers[1].duplicate


async def test_expired_keys_are_swept(tmp_path: Path) -> None:
    now = START
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path, now=lambda: now)
    await store.open()

    def kept(connection: sqlite3.Connection) -> int:
        count: int = connection.execute("SELECT count(*) FROM dedup").fetchone()[0]
        return count

    for number in range(600):
        await store.accept(copy(number, f"k{number}", timedelta(minutes=1)))
    now = START + HOUR
    for number in range(3600, 4200):
        await store.accept(copy(number, f"k{number}", timedelta(minutes=30)))
    assert await store._readers.run(kept) < 900
    await store.close(GRACE)


@pytest.mark.parametrize("size", [1, 2, 130])
async def test_copies_in_one_commit(store: SqlStore, size: int) -> None:
    answers = await asyncio.gather(*[store.accept(copy(n, f"k{n // 2}")) for n in range(2 * size)])
    assert [answer.duplicate for answer in answers] == [False, True] * size
    again = await asyncio.gather(*[store.accept(copy(n, f"k{n}")) for n in range(size)])
    assert all(answer.duplicate for answer in again)


async def test_room_is_what_the_disk_says(store: SqlStore, tmp_path: Path) -> None:
    room = await store.room()
    assert 0 < room.bytes_free <= room.bytes_total
    assert room.bytes_used >= (tmp_path / "carebus.db").stat().st_size
