"""Backups of PostgreSQL, and from one database into the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from engine.contract import NewDelivery, State
from engine.store import SqlStore, open_database, open_store
from engine.store.backup import loading, manifest, restoring, snapshot, taking
from engine.store.backup.failures import BackupError
from engine.store.backup.manifest import Kind, Manifest
from engine.store.backup.restoring import Found
from engine.store.backup.verifying import verify
from engine.store.content import ContentFolder
from engine.testing.store import GRACE, identity, new_message, step
from tests.servers.postgresql import PostgresServer
from tests.unit.store.filled import fill, told, waiting

NOW = datetime.now(UTC)


def take(url: str, data: Path, folder: Path, kind: Kind, minute: int = 0) -> Manifest:
    with taking.writing(folder), snapshot(open_database(url, data=data)) as taken:
        return taking.take(
            taken,
            ContentFolder(data / "content"),
            folder,
            kind,
            project=None,
            now=lambda: NOW + timedelta(minutes=minute),
        )


def restore(backup: Path, url: str, data: Path) -> list[Found]:
    data.mkdir(exist_ok=True)
    with loading(open_database(url, data=data)) as target:
        chain = manifest.chain_of(backup)
        return restoring.restore(chain, target, ContentFolder(data / "content"))


@asynccontextmanager
async def opened(url: str, data: Path) -> AsyncIterator[SqlStore]:
    store = open_store(url, data=data)
    await store.open()
    try:
        yield store
    finally:
        await store.close(GRACE)


@pytest.mark.parametrize("way", ["to postgresql", "to sqlite", "to itself"])
async def test_a_chain_comes_back_in_any_database(
    postgresql: PostgresServer, tmp_path: Path, way: str
) -> None:
    urls = {
        "to postgresql": ("sqlite://", postgresql.create_database()),
        "to sqlite": (postgresql.create_database(), "sqlite://"),
        "to itself": (postgresql.create_database(), postgresql.create_database()),
    }
    source, target = urls[way]
    old, new, folder = tmp_path / "old", tmp_path / "new", tmp_path / "backups"
    async with opened(source, old) as store:
        stored = await fill(store, 0, 10)
        text = replace(new_message(10), peer="a\0b", keys={"patient": "x\0"})
        await store.accept(text)
        take(source, old, folder, Kind.FULL)
        await store.record(step(stored[8], State.SENT))
        await store.reroute(
            identity(6), new_message(0).deliveries, actor="anna", config_version="c2"
        )
        await fill(store, 11, 10)
        purged = await store.purge(NOW, content_only=True)
        assert purged
        last = take(source, old, folder, Kind.INCREMENTAL, 1)
        wanted, waited = await told(store, range(10)), await waiting(store)
    assert [one.error for one in verify(folder)] == [None, None]
    found = restore(folder / last.name, target, new)
    assert all(line.whole for line in found), found
    async with opened(target, new) as again:
        messages, queues = await told(again, range(10)), await waiting(again)
        assert {key: one[:2] for key, one in messages.items()} == {
            key: one[:2] for key, one in wanted.items()
        }
        assert {name: list(one) for name, one in queues.items()} == {
            name: list(one) for name, one in waited.items()
        }
        assert {flag for one in queues.values() for _, flag in one.values()} == {True}
        recovered = await again.recover()
        assert recovered["uncertain"] == 2, "two were being sent"
        states = await waiting(again)
        assert states["emr"][stored[7].deliveries[0]][0] is State.UNCERTAIN
        accepted = await again.accept(new_message(99))
        assert accepted.deliveries[0] > last.counters["delivery"]


async def test_a_store_in_use_is_not_restored_into(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with opened("sqlite://", tmp_path / "old") as store:
        await fill(store, 0, 1)
        taken = take("sqlite://", tmp_path / "old", folder, Kind.FULL)
    async with opened(database, tmp_path / "new"):
        with pytest.raises(BackupError, match="BACKUP-NOT-EMPTY"):
            restore(folder / taken.name, database, tmp_path / "other")
    assert all(line.whole for line in restore(folder / taken.name, database, tmp_path / "other"))
    with pytest.raises(BackupError, match="BACKUP-NOT-EMPTY"):
        restore(folder / taken.name, database, tmp_path / "other")


async def test_what_another_engine_commits_late_is_in_the_next_backup(
    database: str, tmp_path: Path
) -> None:
    """Ids are given before their transaction: a lower one may be committed after a backup."""
    folder, data = tmp_path / "backups", tmp_path / "data"
    held = psycopg.connect(database)
    async with opened(database, data) as store, opened(database, tmp_path / "two") as second:
        first = await store.accept(replace(new_message(0), dedup_key="a"))
        now = replace(new_message(1).message, received_at=NOW)
        held.execute("LOCK TABLE message_key IN SHARE MODE")
        late = asyncio.create_task(second.accept(replace(new_message(1), message=now)))
        await _waits(database, held)
        taken = take(database, data, folder, Kind.FULL)
        assert taken.totals["message"] == 1
        held.rollback()
        stored = await late
        assert stored.deliveries[0] > first.deliveries[0]
        higher = replace(new_message(2).message, received_at=NOW)
        await store.accept(replace(new_message(2), message=higher))
        last = take(database, data, folder, Kind.INCREMENTAL, 1)
    held.close()
    assert last.totals["message"] == 3
    assert [one.error for one in verify(folder)] == [None, None]


async def _waits(database: str, held: psycopg.Connection[tuple[int]]) -> None:
    """Until somebody waits for the lock."""
    async with asyncio.timeout(10):
        while True:
            with psycopg.connect(database, autocommit=True) as looking:
                row = looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(0.05)


async def test_a_restore_is_all_or_nothing(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    async with opened("sqlite://", tmp_path / "old") as store:
        await fill(store, 0, 20)
        taken = take("sqlite://", tmp_path / "old", folder, Kind.FULL)
    exchange = folder / taken.name / "exchange.gz"
    exchange.write_bytes(exchange.read_bytes()[:-20])
    with pytest.raises(BackupError, match="BACKUP-DAMAGED"):
        restore(folder / taken.name, database, tmp_path / "new")
    async with opened(database, tmp_path / "new") as again:
        assert await again.backlog() == []
        assert await again.sources() == []
        assert (
            await again.accept(new_message(1, deliveries=(NewDelivery("r", "t", "c"),)))
        ).deliveries
