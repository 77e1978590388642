"""Search beyond one block, and the promise that no plan scans the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.contract import ChannelName, Query, State
from engine.store import (
    SqliteDatabase,
    SqlStore,
    ledger,
    reading,
    retention,
    schema,
    search,
    sqlite,
)
from engine.store.requests import Accepting
from engine.testing.store import GRACE, INBOUND, OUTBOUND, START, identity, new_message, step


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (schema, ledger, search, retention):
        monkeypatch.setattr(module, "BLOCK", 4)


@pytest.mark.usefixtures("small_blocks")
async def test_search_goes_through_blocks(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    # days apart, and not in order: a queue that was emptied late
    days = [0, 1, 2, 9, 9, 9, 9, 9, 20, 20, 20, 3, 3, 3, 3, 3, 3, 30, 30, 30, 30]
    for number, day in enumerate(days):
        new = new_message(number)
        at = START + timedelta(days=day)
        await store.accept(replace(new, message=replace(new.message, received_at=at)))

    async def found(**fields: Any) -> list[int]:
        rows = await store.search(Query(**fields))
        return [int(row.control_id[1:]) for row in rows]

    def day(number: float) -> Any:
        return START + timedelta(days=number)

    everything = list(reversed(range(len(days))))
    assert await found() == everything
    assert await found(limit=0) == []
    for key in range(5):
        expected = [number for number in everything if number % 5 == key]
        assert await found(keys={"patient": f"P{key}"}) == expected
        assert await found(keys={"patient": f"P{key}"}, limit=2) == expected[:2]
    for since, until in ((0, 3), (2.5, 10), (9, 9), (10, 25), (3, 21), (31, 99)):
        expected = [number for number in everything if since <= days[number] < until]
        assert await found(since=day(since), until=day(until)) == expected
        expected = [number for number in expected if number % 5 == 3]
        assert await found(since=day(since), until=day(until), keys={"patient": "P3"}) == expected
    pages = []
    before = None
    while page := await store.search(Query(keys={"patient": "P0"}, limit=2, before=before)):
        pages += [int(row.control_id[1:]) for row in page]
        before = page[-1].message_id
    assert pages == [20, 15, 10, 5, 0]
    await store.purge(START + timedelta(days=99), content_only=False)
    assert await found(before=identity(5), limit=2) == [4, 3]
    await store.close(GRACE)


@pytest.mark.usefixtures("small_blocks")
async def test_a_purged_block_is_forgotten(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    for number in range(20):
        await store.accept(new_message(number, state=State.FILTERED, deliveries=()))
    await store.purge(START + timedelta(seconds=10), content_only=False)

    def blocks(connection: sqlite3.Connection) -> list[Any]:
        return [row[0] for row in connection.execute("SELECT block FROM block_time")]

    def keys(connection: sqlite3.Connection) -> Any:
        return connection.execute("SELECT min(seq) FROM message_key").fetchone()[0]

    assert await store._readers.run(blocks) == [2, 3, 4, 5]
    assert await store._readers.run(keys) == 11
    assert len(await store.search(Query(before=identity(15)))) == 5
    assert len(await store.search(Query(keys={"patient": "P0"}))) == 2
    await store.close(GRACE)


async def test_a_summary_shows_the_newest_event_of_each_delivery(store: SqlStore) -> None:
    stored = await store.accept(new_message(7))
    (summary,) = await store.search(Query(message_id=stored.message_id))
    assert summary.keys == {"patient": "P2", "visit": "V7"}
    assert summary.channel == INBOUND
    assert summary.deliveries[0].updated_at == summary.received_at
    at = START + timedelta(hours=1)
    await store.record(replace(step(stored, State.RETRYING), at=at, attempt=2))
    (summary,) = await store.search(Query(message_id=stored.message_id))
    (delivery,) = summary.deliveries
    assert (delivery.state, delivery.attempt, delivery.updated_at) == (State.RETRYING, 2, at)
    assert delivery.channel == OUTBOUND
    backlog = await store.backlog()
    assert [(row.channel, row.state, row.count, row.oldest) for row in backlog] == [
        (OUTBOUND, State.RETRYING, 1, summary.received_at)
    ]
    [waiting] = await store.waiting()
    assert (waiting.source, waiting.channel, waiting.count) == (INBOUND, OUTBOUND, 1)
    await store.record(step(stored, State.QUEUED))
    await store.record(step(stored, State.DEAD))
    assert [row.state for row in await store.backlog()] == [State.DEAD]
    assert await store.waiting() == []


# --- plans ----------------------------------------------------------------------------------


class Explained:
    """A connection that notes the plan of every statement it runs."""

    read = sqlite.Connection.read
    change = sqlite.Connection.change
    claim_keys = sqlite.Connection.claim_keys

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    def execute(self, text: str, values: Any = ()) -> Any:
        if text.startswith(("SELECT", "DELETE", "UPDATE", "WITH", "INSERT INTO going")):
            rows = self._connection.execute("EXPLAIN QUERY PLAN " + text, values)
            self.plans += [row[3] for row in rows]
        return self._connection.execute(text, values)

    def executemany(self, text: str, rows: Any) -> Any:
        (values,) = rows
        return self.execute(text, values)


@pytest.fixture
def explained(tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "carebus.db"
    sqlite.bring_up_to_date(path)
    connection = sqlite.connect_writer(path)
    book = ledger.Ledger(connection)
    book.write([Accepting(None, new_message(1))])
    connection.commit()
    yield Explained(connection)
    connection.close()


def scans(plans: list[str]) -> list[str]:
    """Steps that may look at every row; the partial index of what is unfinished is small."""
    small = ("SCAN picked", "SCAN going", "SCAN delivery USING INDEX delivery_outbox")
    return [
        plan
        for plan in plans
        if "ANY(" in plan
        or ("SCAN" in plan and not plan.startswith(small) and "CONSTANT" not in plan)
    ]


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(keys={"patient": "P1"}),
        Query(keys={"patient": "P1", "visit": "V1"}, channel=INBOUND, type="ADT^A01"),
        Query(control_id="C1", state=State.DEAD),
        Query(channel=OUTBOUND, state=State.SENT),
        Query(channel=INBOUND),
        Query(type="ADT^A01"),
        Query(state=State.UNROUTED),
        Query(state=State.DEAD),
        Query(state=State.QUEUED),
        Query(state=State.SENT),
        Query(since=START, until=START + timedelta(days=1)),
        Query(message_id=identity(1)),
        Query(before=identity(1)),
    ],
)
def test_no_search_scans_the_history(explained: Any, query: Query) -> None:
    search.search(explained, query)
    assert explained.plans
    assert scans(explained.plans) == []


def test_no_other_read_scans_the_history(explained: Any, tmp_path: Path) -> None:
    reading.outbox(explained, OUTBOUND, 0, 0, 10)
    assert not any("TEMP B-TREE" in plan for plan in explained.plans), "the outbox is not sorted"
    reading.history(explained, Any, identity(1), True)  # type: ignore[arg-type]
    reading.load(explained, Any, identity(1))  # type: ignore[arg-type]
    plans = len(explained.plans)
    reading.backlog(explained)
    assert "SCAN delivery USING COVERING INDEX delivery_outbox" in explained.plans[plans:]
    assert scans(explained.plans[:plans]) == []
    plans = len(explained.plans)
    assert reading.sources(explained) == [INBOUND]
    assert [plan for plan in scans(explained.plans[plans:]) if plan != "SCAN known"] == []
    plans = len(explained.plans)
    reading.waiting(explained)
    assert "SCAN delivery USING INDEX delivery_outbox" in explained.plans[plans:]
    assert scans(explained.plans[plans:]) == []


@pytest.mark.parametrize("channel", [None, ChannelName("his-adt")])
def test_no_purge_scans_the_history(explained: Any, channel: ChannelName | None) -> None:
    later = START + timedelta(days=1)
    for find in (retention.finished, retention.finished_content):
        find(explained, later, channel, 10, retention.Progress())
    book = ledger.Ledger(explained)
    retention.delete(book, [1, 2, 3], False)
    retention.is_referred(explained, "00")
    assert scans(explained.plans) == []


def test_steps_are_sought_by_id_and_counted(explained: Any) -> None:
    """The count is what shows, without another read, that every step was legal."""
    rows = [(number, "sent", 1, None, 0, 0, number) for number in (1, 2)]
    assert ledger._MOVE[State.SENT].execute(explained._connection, rows) == 1
    assert ledger._MOVE[State.SENT].execute(explained._connection, rows) == 0
    ledger._MOVE[State.SENT].execute(explained, rows)
    assert "SEARCH delivery USING INTEGER PRIMARY KEY (rowid=?)" in explained.plans
