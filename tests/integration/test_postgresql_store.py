"""Several engines on one PostgreSQL store, and a server that goes away at the worst moment."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine.contract import (
    MessageId,
    Payload,
    Query,
    State,
    Stored,
    StoreUnavailable,
    UnknownMessage,
)
from engine.store import PostgresDatabase, SqlStore, membership
from engine.store.postgresql import nodes
from engine.store.postgresql.partitions import DAYS_AHEAD
from engine.testing.store import GRACE, OUTBOUND, identity, new_message, step
from tests.servers.cutting import CuttingProxy
from tests.servers.postgresql import PostgresServer

DAY = timedelta(days=1)
TERM = timedelta(seconds=0.6)


@asynccontextmanager
async def node(url: str, folder: Path) -> AsyncIterator[SqlStore]:
    """One engine's store; its folder is its name."""
    store = SqlStore(PostgresDatabase(url), folder)
    await store.open()
    try:
        yield store
    finally:
        await store.close(GRACE)


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(membership, "BEAT_SECONDS", 0.1)


async def mine(store: SqlStore) -> list[Any]:
    return list(await store.outbox(OUTBOUND, 0, after=0, limit=10_000, mine=True))


async def hang(store: SqlStore) -> None:
    """It beats no more, as when its machine stands still."""
    assert store.members is not None
    store.members._tasks[0].cancel()


async def until(ready: Any) -> Any:
    async with asyncio.timeout(10):
        while True:
            found = await ready()
            if found:
                return found
            await asyncio.sleep(0.05)


async def test_a_duplicate_that_comes_to_two_engines_has_one_winner(
    database: str, tmp_path: Path
) -> None:
    async with node(database, tmp_path / "a") as one, node(database, tmp_path / "b") as other:
        answers = await asyncio.gather(
            *[
                store.accept(
                    new_message(number * 2 + side, dedup_key=f"k{number}", dedup_within=DAY)
                )
                for number in range(200)
                for side, store in enumerate((one, other))
            ]
        )
        assert len([answer for answer in answers if not answer.duplicate]) == 200
        for first, second in zip(answers[::2], answers[1::2], strict=True):
            assert first.message_id == second.message_id
        assert len(await one.search(Query(limit=1000))) == 200


async def test_ids_rise_from_one_engine_to_the_next(database: str, tmp_path: Path) -> None:
    """What was acknowledged before another was accepted has the lower id, whoever accepts."""
    async with node(database, tmp_path / "a") as one, node(database, tmp_path / "b") as other:
        ids: list[int] = []
        for number in range(20):
            stored = await (one, other)[number % 2].accept(new_message(number))
            ids += stored.deliveries
        assert ids == sorted(set(ids))
        shown = await other.outbox(OUTBOUND, 0, after=0, limit=100)
        assert [entry.delivery for entry in shown] == ids


@pytest.mark.usefixtures("short_leases")
async def test_only_what_a_dead_engine_had_in_hand_is_taken_over(
    database: str, tmp_path: Path
) -> None:
    dead = SqlStore(PostgresDatabase(database), tmp_path / "dead")
    await dead.open()
    async with node(database, tmp_path / "a") as one, node(database, tmp_path / "b") as other:
        left, begun = [await dead.accept(new_message(number)) for number in range(2)]
        ours = await one.accept(new_message(2))
        theirs = await other.accept(new_message(3))
        await dead.begin(begun.deliveries[0], 1)
        await other.begin(theirs.deliveries[0], 1)
        assert (await one.recover())["taken"] == 0, "everybody lives"
        await hang(dead)

        async def recovered() -> Any:
            counts = await one.recover()
            return counts if counts["taken"] else None

        counts = await until(recovered)
        assert counts == {"uncertain": 1, "possible_duplicate": 2, "unclean": 1, "taken": 2}
        found = {entry.delivery: entry for entry in await mine(one)}
        assert found.keys() == {*left.deliveries, *begun.deliveries, *ours.deliveries}
        assert found[left.deliveries[0]].possible_duplicate
        assert found[begun.deliveries[0]].state is State.UNCERTAIN
        assert not found[ours.deliveries[0]].possible_duplicate
        (kept,) = await mine(other)
        assert (kept.state, kept.possible_duplicate) == (State.QUEUED, False)
        # It was only slow: nothing that it does now can contradict its heir.
        with pytest.raises(StoreUnavailable, match=r"STORE-(FENCED|IO)"):
            await dead.record(step(left, State.SENT))
        with pytest.raises(StoreUnavailable, match="STORE-FENCED"):
            await dead.record(step(left, State.SENT))
        await one.record(step(left, State.SENT))
    await dead.close(GRACE)


@pytest.mark.usefixtures("short_leases")
async def test_an_engine_that_was_given_up_hears_of_it(database: str, tmp_path: Path) -> None:
    async with node(database, tmp_path / "a") as one, node(database, tmp_path / "b") as other:
        assert one.members is not None
        assert other.members is not None
        with psycopg.connect(database) as connection:
            connection.execute(
                "UPDATE node SET lease_until = 0 WHERE id = %s", (other.database.nodes.node,)
            )
            connection.execute("UPDATE node SET stopped_at = 1 WHERE lease_until = 0")
        async with asyncio.timeout(5):
            await other.members.given_up.wait()
        assert not one.members.given_up.is_set()


async def test_a_clean_stop_leaves_its_deliveries_to_the_others(
    database: str, tmp_path: Path
) -> None:
    async with node(database, tmp_path / "a") as one:
        async with node(database, tmp_path / "b") as other:
            await other.accept(new_message(1))
        assert (await one.recover())["taken"] == 1
        (entry,) = await mine(one)
        assert not entry.possible_duplicate


async def test_a_lease_has_one_owner_and_an_epoch(database: str, tmp_path: Path) -> None:
    async with node(database, tmp_path / "a") as one, node(database, tmp_path / "b") as other:
        first, second = one.members, other.members
        assert first is not None
        assert second is not None
        long = timedelta(minutes=1)
        assert await first.acquire("source/labs", "a", long) == 1
        assert await first.acquire("source/labs", "a", long) == 1
        assert await second.acquire("source/labs", "b", long) is None
        assert await first.renew("source/labs", "a", 1, TERM)
        assert not await second.renew("source/labs", "b", 1, long)
        epoch = await until(lambda: second.acquire("source/labs", "b", long))
        assert epoch == 2
        assert not await first.renew("source/labs", "a", 1, long), "it ran out"
        await first.release("source/labs", "a", 1)
        assert await first.acquire("source/labs", "a", long) is None, "another's was released"
        await second.release("source/labs", "b", 2)
        assert await first.acquire("source/labs", "a", long) == 3


async def test_the_server_is_restarted(tmp_path: Path) -> None:
    server = PostgresServer()
    try:
        server.start()
        async with node(server.create_database(), tmp_path) as store:
            await store.accept(new_message(0))
            await asyncio.to_thread(server.stop)
            for number in (1, 2):
                with pytest.raises(StoreUnavailable, match="cannot be reached"):
                    await store.accept(new_message(number))
            with pytest.raises(StoreUnavailable):
                await store.load(identity(0))
            await asyncio.to_thread(server.start)

            async def accepted() -> Stored | None:
                try:
                    return await store.accept(new_message(3))
                except StoreUnavailable:
                    return None

            await until(accepted)
            assert (await store.load(identity(0))).id == identity(0)
            assert len(await store.search(Query())) == 2
    finally:
        server.remove()


async def test_no_acknowledgement_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    """Nor is anything stored twice: whoever got no answer knows that, and sends it again."""
    server = PostgresServer()
    try:
        server.start()
        async with node(server.create_database(), tmp_path) as store:
            told: list[MessageId] = []
            store.subscribe(lambda batch: told.extend(stored.message_id for _, stored in batch))
            acknowledged: set[MessageId] = set()
            refused: set[MessageId] = set()
            numbers = iter(range(100_000))
            running = True

            async def send() -> None:
                while running:
                    number = next(numbers)
                    try:
                        acknowledged.add((await store.accept(new_message(number))).message_id)
                    except StoreUnavailable:
                        refused.add(identity(number))
                        await asyncio.sleep(0.02)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(16):
                    tasks.create_task(send())
                for _ in range(3):
                    await asyncio.sleep(0.3)
                    before = len(acknowledged)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)
                    async with asyncio.timeout(15):
                        while len(acknowledged) <= before:
                            await asyncio.sleep(0.05)
                running = False
            with server.connect("test_1") as connection:
                stored = {row[0] for row in connection.execute("SELECT id FROM message")}
            assert refused
            assert acknowledged <= stored
            assert stored <= set(told), "nobody heard of a message that is stored"
            assert len(told) == len(set(told))
            assert set(told) == stored
    finally:
        server.remove()


@pytest.mark.parametrize("reached", [True, False])
async def test_a_commit_that_nobody_saw_is_looked_for(
    postgresql: PostgresServer, database: str, tmp_path: Path, reached: bool
) -> None:
    """``reached``: the connection is lost after the commit was sent, or before."""
    proxy = CuttingProxy("127.0.0.1", postgresql.port)
    async with proxy.running():
        url = database.replace(f":{postgresql.port}/", f":{proxy.port}/")
        async with node(url, tmp_path) as store:
            await store.accept(new_message(0))
            proxy.cut_after = b"COMMIT\0" if reached else b"Anothing-sends-this"
            if not reached:
                with psycopg.connect(database, autocommit=True) as connection:
                    connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name LIKE 'carebus % writer'"
                        " AND datname = current_database()"
                    )
                with pytest.raises(StoreUnavailable):
                    await store.accept(new_message(1))
            else:
                stored = await store.accept(new_message(1))
                assert stored.message_id == identity(1)
            assert proxy.cuts == int(reached)
            await store.accept(new_message(2))
            assert len(await store.search(Query())) == 2 + int(reached)


async def test_a_list_of_hosts_is_tried_in_turn(
    postgresql: PostgresServer, database: str, tmp_path: Path
) -> None:
    name = database.rpartition("/")[2]
    account = database.partition("//")[2].partition("@")[0]
    url = f"postgresql://{account}@127.0.0.1:1,127.0.0.1:{postgresql.port}/{name}"
    async with node(url, tmp_path) as store:
        await store.accept(new_message(0))


async def test_two_processes_accept_until_one_is_killed(database: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(database)
    children = []
    for number in range(2):
        folder = tmp_path / f"node{number}"
        folder.mkdir()
        (folder / "store").write_text(f"right {database}")
        children.append(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "engine.testing.store",
                "tests.conformance.test_store:made",
                str(folder),
                str(number * 10**6),
                stdout=asyncio.subprocess.PIPE,
            )
        )

    async def read(child: asyncio.subprocess.Process, lines: int) -> Sequence[bytes]:
        assert child.stdout is not None
        found = []
        async for line in child.stdout:
            found.append(line)
            if len(found) == lines:
                child.kill()
        await child.wait()
        return [line for line in found if line.endswith(b"\n")]

    acknowledged = await asyncio.gather(read(children[0], 100), read(children[1], 300))
    known = [line.split() for lines in acknowledged for line in lines]
    with psycopg.connect(database) as connection:
        rows = dict(connection.execute("SELECT id, delivery FROM message").fetchall())
        numbers = connection.execute("SELECT count(*), count(DISTINCT seq) FROM message").fetchone()
    assert numbers is not None
    assert numbers[0] == numbers[1] >= 400
    for message_id, delivery in known:
        assert rows[message_id.decode()] == int(delivery)


async def test_days_that_nobody_keeps_are_dropped_as_a_whole(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def partitions() -> set[str]:
        with psycopg.connect(database) as connection:
            rows = connection.execute("SELECT inhrelid::regclass::text FROM pg_inherits")
            return {
                row[0]
                for row in rows
                if re.fullmatch(r"(content|event|exchange)_(d\d+|default)", row[0])
            }

    async with node(database, tmp_path) as store:
        stored = await store.accept(new_message(1))
        sent = step(stored, State.SENT, sent=Payload(b"mapped"), reply=Payload(b"yes"))
        await store.record(sent)
        waiting = await store.accept(new_message(2))
        before = partitions()
        assert len(before) == 3 * (1 + 1 + DAYS_AHEAD)
        in_days = datetime.now(UTC) + timedelta(days=2)
        now = datetime.now(UTC) - timedelta(days=1)
        assert await store.roll(content_before=in_days, events_before=in_days) == 0
        assert (await store.load(waiting.message_id)).id == waiting.message_id
        await store.record(step(waiting, State.SENT))
        assert await store.roll(content_before=now, events_before=now) == 0
        dropped = await store.roll(content_before=in_days, events_before=now)
        assert dropped == 4, "contents and exchanges of today and tomorrow"
        with pytest.raises(UnknownMessage, match="deleted by retention"):
            await store.load(stored.message_id)
        events = await store.history(stored.message_id, content=True)
        assert [(event.state, event.sent) for event in events] == [
            (State.RECEIVED, None),
            (State.SENT, None),
        ]
        await store.accept(new_message(3))
        assert (await store.load(identity(3))).id == identity(3), "the default partition took it"
    async with node(database, tmp_path) as store:
        assert (await store.load(identity(3))).id == identity(3)
