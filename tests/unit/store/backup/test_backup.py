"""A backup of a SQLite store that is in use, the chain of incremental ones, and the way back."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.contract import Query, State
from engine.store import SqliteDatabase, SqlStore
from engine.store.backup import loading, manifest, restoring, snapshot, taking
from engine.store.backup.failures import BackupError
from engine.store.backup.manifest import Kind, Manifest
from engine.store.backup.restoring import Found
from engine.store.backup.verifying import verify
from engine.store.content import ContentFolder
from engine.testing.store import GRACE, START, identity, new_message, step
from tests.unit.store.filled import fill, told, waiting

NOW = datetime(2026, 5, 1, 2, 0, tzinfo=UTC)
FULL, INCREMENTAL = Kind.FULL, Kind.INCREMENTAL


def take(data: Path, folder: Path, kind: Kind, minute: int = 0, **given: Path) -> Manifest:
    database = SqliteDatabase(data / "carebus.db")
    with taking.writing(folder), snapshot(database) as taken:
        return taking.take(
            taken,
            ContentFolder(data / "content"),
            folder,
            kind,
            project=given.get("project"),
            now=lambda: NOW + timedelta(minutes=minute),
        )


def restore(backup: Path, data: Path) -> list[Found]:
    data.mkdir(exist_ok=True)
    with loading(SqliteDatabase(data / "carebus.db")) as target:
        chain = manifest.chain_of(backup)
        return restoring.restore(chain, target, ContentFolder(data / "content"))


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(SqliteDatabase(data / "carebus.db"), data)
    await store.open()
    try:
        yield store
    finally:
        await store.close(GRACE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


async def test_everything_comes_back(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 20)
    before = await told(store, range(20))
    taken = take(tmp_path, folder, FULL)
    assert taken.totals["message"] == 20
    assert taken.totals["content"] == 20
    assert [one.error for one in verify(folder)] == [None]
    found = restore(folder / taken.name, tmp_path / "new")
    assert all(line.whole for line in found)
    assert {line.what: line.found for line in found}["content files"] == 3
    async with opened(tmp_path / "new") as again:
        after = await told(again, range(20))
        assert {key: one[:2] for key, one in after.items()} == {
            key: one[:2] for key, one in before.items()
        }
        assert {key: one[3].message_id for key, one in after.items()} == {
            key: one[3].message_id for key, one in before.items()
        }
        copy = await again.accept(new_message(77, dedup_key="k3", dedup_within=timedelta(days=1)))
        assert copy.duplicate
        assert copy.message_id == identity(3)


async def test_what_waited_goes_out_as_possible_duplicates(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    stored = await fill(store, 0, 10)
    taken = take(tmp_path, folder, FULL)
    restore(folder / taken.name, tmp_path / "new")
    async with opened(tmp_path / "new") as again:
        recovered = await again.recover()
        assert recovered["unclean"] == 1
        assert recovered["uncertain"] == 1, "one was being sent"
        found = await waiting(again)
    assert len(found["emr"]) == 6
    assert {flag for one in found.values() for _, flag in one.values()} == {True}
    assert found["emr"][stored[7].deliveries[0]][0] is State.UNCERTAIN
    assert found["emr"][stored[8].deliveries[0]][0] is State.QUEUED


async def test_no_id_is_given_twice(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 10)
    await store.purge(datetime(2030, 1, 1, tzinfo=UTC), content_only=False)
    taken = take(tmp_path, folder, FULL)
    restore(folder / taken.name, tmp_path / "new")
    async with opened(tmp_path / "new") as again:
        stored = await again.accept(new_message(50))
    assert stored.deliveries[0] > taken.counters["delivery"] > 0


async def test_a_chain_brings_each_moment_back(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    stored = await fill(store, 0, 10)
    take(tmp_path, folder, FULL)
    moments = [(await told(store, range(30)), await waiting(store))]
    await store.record(step(stored[8], State.SENT))
    await store.reroute(identity(6), new_message(0).deliveries, actor="anna", config_version="c2")
    await store.replay(stored[2].deliveries[0], actor="anna")
    await fill(store, 10, 10)
    take(tmp_path, folder, INCREMENTAL, 1)
    moments.append((await told(store, range(30)), await waiting(store)))
    await fill(store, 20, 10)
    purged = await store.purge(START + timedelta(seconds=5), content_only=True)
    assert purged
    await store.purge(START + timedelta(seconds=1), content_only=False)
    last = take(tmp_path, folder, INCREMENTAL, 2)
    moments.append((await told(store, range(30)), await waiting(store)))
    assert last.files["content"].rows == 10, "an incremental one has what is new"
    assert [one.error for one in verify(folder)] == [None] * 3
    for number, path in enumerate(manifest.all_of(folder)):
        data = tmp_path / f"new{number}"
        assert all(line.whole for line in restore(path, data))
        async with opened(data) as again:
            messages, queues = await told(again, range(30)), await waiting(again)
        wanted, waited = moments[number]
        assert {key: one[:2] for key, one in messages.items()} == {
            key: one[:2] for key, one in wanted.items()
        }
        assert {name: list(one) for name, one in queues.items()} == {
            name: list(one) for name, one in waited.items()
        }


async def test_a_backup_is_of_one_moment_while_messages_come(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 10)
    coming = asyncio.create_task(fill(store, 100, 200))
    taken = [await asyncio.to_thread(take, tmp_path, folder, FULL)]
    taken += [
        await asyncio.to_thread(take, tmp_path, folder, INCREMENTAL, minute)
        for minute in range(1, 4)
    ]
    await coming
    taken.append(await asyncio.to_thread(take, tmp_path, folder, INCREMENTAL, 9))
    assert taken[-1].totals["message"] == 210
    assert [one.error for one in verify(folder)] == [None] * 5
    for number, one in enumerate(taken):
        found = restore(folder / one.name, tmp_path / f"new{number}")
        assert all(line.whole for line in found)


async def test_a_full_one_after_seven_days(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    assert taking.kind_for(folder, NOW) is FULL
    await fill(store, 0, 1)
    take(tmp_path, folder, FULL)
    assert taking.kind_for(folder, NOW + timedelta(days=6)) is INCREMENTAL
    assert taking.kind_for(folder, NOW + timedelta(days=7)) is FULL


async def test_a_restore_never_overwrites(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 2)
    taken = take(tmp_path, folder, FULL)
    with pytest.raises(BackupError, match="BACKUP-NOT-EMPTY"):
        restore(folder / taken.name, tmp_path)
    assert [one.message_id for one in await store.search(Query())]


async def test_damage_is_found(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 10)
    full = take(tmp_path, folder, FULL)
    next_one = take(tmp_path, folder, INCREMENTAL, 1)
    path = folder / full.name / "event.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    found = verify(folder)
    assert [one.error and one.error.code for one in found] == ["BACKUP-DAMAGED", "BACKUP-CHAIN"]
    assert found[0].error is not None
    assert found[0].error.location == str(path)
    with pytest.raises(BackupError, match="BACKUP-DAMAGED"):
        restore(folder / next_one.name, tmp_path / "new")
    assert list((tmp_path / "new").glob("carebus.db*")) == []


async def test_a_row_that_was_left_out_is_missed(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 10)
    taken = take(tmp_path, folder, FULL)
    path = folder / taken.name / "event.gz"
    rows = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(rows[:-1])))
    found = {line.what: line for line in restore(folder / taken.name, tmp_path / "new")}
    assert found["event"].expected - found["event"].found == 1
    assert found["message"].whole
    assert list((tmp_path / "new").glob("carebus.db*")) == [], "nothing is there for an engine"


async def test_a_chain_with_a_gap_is_refused(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 5)
    full = take(tmp_path, folder, FULL)
    first = take(tmp_path, folder, INCREMENTAL, 1)
    second = take(tmp_path, folder, INCREMENTAL, 2)
    shutil.rmtree(folder / first.name)
    with pytest.raises(BackupError, match="BACKUP-CHAIN"):
        restore(folder / second.name, tmp_path / "new")
    with pytest.raises(BackupError, match="BACKUP-CHAIN"):
        take(tmp_path, folder, INCREMENTAL, 3)
    assert all(line.whole for line in restore(folder / full.name, tmp_path / "new"))


async def test_another_backup_of_the_same_name_is_not_taken(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 5)
    full = take(tmp_path, folder, FULL)
    take(tmp_path, folder, INCREMENTAL, 1)
    shutil.rmtree(folder / full.name)
    await fill(store, 5, 1)
    take(tmp_path, folder, FULL)
    errors = [one.error and one.error.code for one in verify(folder)]
    assert errors == [None, "BACKUP-CHAIN"]


async def test_an_interrupted_backup_is_none(
    store: SqlStore, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, 0, 5)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write", killed)
        patched.setattr(shutil, "rmtree", killed)  # a kill cleans up nothing
        with pytest.raises(KeyboardInterrupt):
            take(tmp_path, folder, FULL)
    assert manifest.all_of(folder) == []
    with pytest.raises(BackupError, match="BACKUP-NONE"):
        verify(folder)
    take(tmp_path, folder, FULL)
    assert [name for name in os.listdir(folder) if name.startswith(".part")] == []


async def test_old_ones_go_with_their_chains(store: SqlStore, tmp_path: Path, folder: Path) -> None:
    await fill(store, 0, 2)
    for minute, kind in enumerate((FULL, INCREMENTAL, FULL, INCREMENTAL, FULL)):
        take(tmp_path, folder, kind, minute)
    assert len(manifest.forget_old(folder, 2)) == 2
    assert [path.name.split("-")[1] for path in manifest.all_of(folder)] == [
        "full", "incremental", "full",
    ]  # fmt: skip
    assert [one.error for one in verify(folder)] == [None] * 3
    assert manifest.forget_old(folder, 2) == ()


async def test_two_at_once_are_refused(store: SqlStore, folder: Path) -> None:
    with (
        taking.writing(folder),
        pytest.raises(BackupError, match="BACKUP-BUSY"),
        taking.writing(folder),
    ):
        pass


async def test_only_the_owner_reads_it_and_no_secret_goes_along(
    store: SqlStore, tmp_path: Path, folder: Path
) -> None:
    await fill(store, 0, 2)
    project = tmp_path / "project"
    for name in ("routes.yaml", "channels/his.yaml", "mappings/a/b.yaml", ".env", "tls/key.pem",
                 "mappings/.env", "channels/key.pem"):  # fmt: skip
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x: 1\n")
    taken = take(tmp_path, folder, FULL, project=project)
    with tarfile.open(folder / taken.name / "project.tar.gz") as tar:
        assert sorted(tar.getnames()) == ["channels/his.yaml", "mappings/a/b.yaml", "routes.yaml"]
    for path, _, names in os.walk(folder):
        for name in (".", *names):
            assert os.stat(os.path.join(path, name)).st_mode & 0o077 == 0, name
    assert [one.error for one in verify(folder)] == [None]
