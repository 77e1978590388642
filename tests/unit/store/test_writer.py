"""Group commit: order, isolation of failures, a full disk, cancelled waits."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import (
    DeliveryId,
    ErrorInfo,
    IllegalTransition,
    Message,
    MessageId,
    NewDelivery,
    NewMessage,
    Query,
    Stage,
    State,
    Stored,
    StoreUnavailable,
    UnknownMessage,
)
from engine.store import SqliteDatabase, SqlStore, sqlite
from engine.store.requests import Job
from engine.store.statements import cuts
from engine.testing.store import GRACE, OUTBOUND, identity, new_message, step, whole_outbox


async def test_waiters_share_a_commit(store: SqlStore) -> None:
    before = store._writer.commits
    await asyncio.gather(*[store.accept(new_message(number)) for number in range(300)])
    assert store._writer.commits - before <= 5


async def test_subscribers_hear_first_and_in_order(store: SqlStore) -> None:
    heard: list[str] = []

    def committed(batch: Sequence[tuple[NewMessage, Stored]]) -> None:
        heard.extend(f"committed {stored.deliveries[0]}" for _, stored in batch)

    async def accept(number: int) -> None:
        stored = await store.accept(new_message(number))
        heard.append(f"answered {stored.deliveries[0]}")

    store.subscribe(committed)
    await asyncio.gather(*[accept(number) for number in range(5)])
    committed_ones = [line for line in heard if line.startswith("committed")]
    assert committed_ones == [f"committed {number}" for number in range(1, 6)]
    for number in range(1, 6):
        assert heard.index(f"committed {number}") < heard.index(f"answered {number}")


async def test_a_cancelled_wait_does_not_undo_the_write(store: SqlStore) -> None:
    task = asyncio.create_task(store.accept(new_message(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.accept(new_message(2))
    assert (await store.load(identity(1))).payload == new_message(1).message.payload


async def test_a_message_that_cannot_be_stored_harms_no_other(store: SqlStore) -> None:
    twice = new_message(1)
    answers = await asyncio.gather(
        store.accept(twice),
        store.accept(twice),
        store.accept(replace(new_message(2), peer=object())),  # type: ignore[arg-type]
        store.accept(new_message(3)),
        return_exceptions=True,
    )
    assert isinstance(answers[0], Stored)
    assert isinstance(answers[1], StoreUnavailable)
    assert isinstance(answers[2], StoreUnavailable)
    assert isinstance(answers[3], Stored)
    assert len(await whole_outbox(store)) == 2


async def test_steps_of_one_delivery_take_effect_in_the_order_of_the_calls(store: SqlStore) -> None:
    stored = await store.accept(new_message(1))
    (delivery,) = stored.deliveries
    answers = await asyncio.gather(
        store.begin(delivery, 1),
        store.record(step(stored, State.RETRYING)),
        store.begin(delivery, 2),
        store.record(step(stored, State.QUEUED)),
        store.begin(delivery, 2),
        store.record(step(stored, State.SENT)),
        store.begin(delivery, 3),
        store.cancel(delivery, actor="tester"),
        return_exceptions=True,
    )
    refused = [number for number, answer in enumerate(answers) if answer is not None]
    assert refused == [2, 6, 7]
    assert all(isinstance(answers[number], IllegalTransition) for number in refused)
    states = [event.state for event in await store.history(stored.message_id)]
    assert states == [State.RECEIVED, State.RETRYING, State.QUEUED, State.SENT]


async def test_record_all_answers_for_each_event(store: SqlStore) -> None:
    one, other = [await store.accept(new_message(number)) for number in range(2)]
    unknown = replace(step(one, State.SENT), delivery=DeliveryId(999))
    answers = await store.record_all(
        [
            step(one, State.SENT),
            step(one, State.SENT),
            unknown,
            replace(step(other, State.SENT), remote_id=object()),  # type: ignore[arg-type]
            step(other, State.DEAD),
        ]
    )
    kinds = [type(answer) for answer in answers]
    assert kinds == [
        type(None),
        IllegalTransition,
        UnknownMessage,
        StoreUnavailable,
        type(None),
    ]
    assert await store.record_all([]) == []


async def test_a_full_disk_refuses_and_recovers(store: SqlStore, tmp_path: Path) -> None:
    kept = await store.accept(new_message(0))
    pages = await _on_writer(store, "PRAGMA page_count")
    await _on_writer(store, f"PRAGMA max_page_count={pages + 3}")
    body = replace(new_message(1).message.payload, body=b"x" * 200_000)
    big = [
        replace(new_message(n), message=replace(new_message(n).message, payload=body))
        for n in range(1, 4)
    ]
    answers = await asyncio.gather(
        *[store.accept(new) for new in big],
        store.record(step(kept, State.SENT)),
        return_exceptions=True,
    )
    assert [getattr(answer, "info", None) and answer.info.code for answer in answers] == [  # type: ignore[union-attr]
        "STORE-FULL"
    ] * 4
    await _on_writer(store, "PRAGMA max_page_count=1000000")
    accepted = [await store.accept(new) for new in big]
    assert [stored.message_id for stored in accepted] == [identity(n) for n in range(1, 4)]
    found = await store.search(Query())
    assert len(found) == 4


async def test_a_lost_database_file_is_opened_again(store: SqlStore) -> None:
    await store.accept(new_message(0))
    store._writer._broken = True  # as after an I/O error
    await store.accept(new_message(1))
    assert len(await store.search(Query())) == 2


async def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.close(GRACE)
    with pytest.raises(StoreUnavailable, match="STORE-CLOSED"):
        await store.accept(new_message(1))
    await store.open()
    await store.open()
    waiting = [asyncio.create_task(store.accept(new_message(number))) for number in range(20)]
    await asyncio.sleep(0)
    await store.close(GRACE)
    await store.close(GRACE)
    assert len(await asyncio.gather(*waiting)) == 20, "what waited was not written"
    for call in (store.accept(new_message(2)), store.load(identity(1)), store.room()):
        with pytest.raises(StoreUnavailable, match="STORE-CLOSED"):
            await call
    await store.open()
    assert len(await whole_outbox(store)) == 20
    await store.close(GRACE)


async def test_the_wal_stays_bounded_beside_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_PAGES", 100)
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    reading = True

    async def read() -> None:
        while reading:
            await store.search(Query(keys={"patient": "P1"}))

    body = replace(new_message(0).message.payload, body=b"x" * 2000)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(read())
        for start in range(0, 1500, 50):
            news = [new_message(number) for number in range(start, start + 50)]
            await asyncio.gather(
                *[
                    store.accept(replace(new, message=replace(new.message, payload=body)))
                    for new in news
                ]
            )
        reading = False
    wal = (tmp_path / "carebus.db-wal").stat().st_size
    database = (tmp_path / "carebus.db").stat().st_size
    await store.close(GRACE)
    assert wal < 400 * 4096 < database


_texts = st.lists(st.tuples(st.text(max_size=250), st.text(min_size=1, max_size=250)), max_size=30)


@given(_texts)
@settings(max_examples=4, deadline=None)
def test_any_text_is_stored_and_found(texts: list[tuple[str, str]]) -> None:
    """Also NUL, lone surrogates, and text longer than an index takes."""

    async def run(folder: Path) -> None:
        store = SqlStore(SqliteDatabase(folder / "carebus.db"), folder)
        await store.open()
        for number, (control_id, patient) in enumerate(texts):
            new = replace(
                new_message(number),
                control_id=control_id,
                keys={"patient": patient},
                error=ErrorInfo("X1", control_id, Stage.RECEIVING),
            )
            stored = await store.accept(new)
            await store.record(step(stored, State.SENT, remote_id=patient))
            found = await store.search(Query(keys={"patient": patient}, limit=1))
            assert [one.message_id for one in found] == [stored.message_id]
            if control_id:
                found = await store.search(Query(control_id=control_id, limit=1))
                assert [one.message_id for one in found] == [stored.message_id]
            assert len(await store.history(stored.message_id)) == 2
        await store.close(GRACE)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


@pytest.mark.parametrize("rows", [0, 1, 2, 31, 32, 33, 63, 64, 127, 128, 129, 511, 512])
def test_cuts_leave_no_gap_and_are_few(rows: int) -> None:
    found = list(cuts(rows))
    assert [start for start, _ in found] == [
        sum(size for _, size in found[:index]) for index in range(len(found))
    ]
    assert sum(size for _, size in found) == rows
    assert all(size < 32 or size in (32, 64, 128) for _, size in found)
    assert len(found) <= rows // 128 + 3


async def test_message_and_delivery_ids_rise_across_runs(tmp_path: Path) -> None:
    ids: list[int] = []
    for run in range(3):
        store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
        await store.open()
        two = (NewDelivery("r", "a", OUTBOUND), NewDelivery("r", "b", OUTBOUND))
        stored = await store.accept(new_message(run, deliveries=two))
        ids += stored.deliveries
        await store.close(GRACE)
    assert ids == sorted(set(ids))


def test_a_message_keeps_its_parents_and_attributes(tmp_path: Path) -> None:
    async def run() -> Message:
        store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
        await store.open()
        new = new_message(1)
        parents = (MessageId("a"), MessageId("b"))
        message = replace(new.message, parents=parents, attributes={"x": "\ud800", "y": "值"})
        await store.accept(replace(new, message=message))
        loaded = await store.load(message.id)
        await store.close(GRACE)
        return loaded

    loaded = asyncio.run(run())
    assert loaded.parents == ("a", "b")
    assert loaded.attributes == {"x": "?", "y": "值"}


async def _on_writer(store: SqlStore, text: str) -> Any:
    """Run one statement on the writer's connection, between its transactions."""

    def work(ledger: Any) -> Any:
        row = ledger.connection.execute(text).fetchone()
        return None if row is None else row[0]

    return await store._put(Job, work)
