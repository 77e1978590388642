"""What persons decide, and outcomes that come after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.contract import ChannelName, IllegalTransition, State
from engine.store import SqliteDatabase, SqlStore
from engine.testing.store import GRACE, new_message, step

LIS = ChannelName("lis")


async def test_a_send_that_was_under_way_takes_the_place_of_a_cancel(store: SqlStore) -> None:
    stored = await store.accept(new_message(1))
    await store.cancel(stored.deliveries[0], actor="anna")
    await store.record(step(stored, State.SENT))
    history = await store.history(stored.message_id)
    assert [event.state for event in history[1:]] == [State.CANCELLED, State.SENT]
    assert [event.actor for event in history[1:]] == ["anna", "engine"]


async def test_an_unknown_outcome_is_added_to_what_was_cancelled(store: SqlStore) -> None:
    stored = await store.accept(new_message(1))
    [delivery] = stored.deliveries
    await store.cancel(delivery, actor="anna")
    await store.record(step(stored, State.UNCERTAIN))
    assert await store.delivery(delivery) is None, "nobody sends it again"
    history = await store.history(stored.message_id)
    assert [event.state for event in history[1:]] == [State.CANCELLED, State.UNCERTAIN]
    entry = await store.replay(delivery, actor="anna")
    assert entry.possible_duplicate, "the peer may have it"


async def test_a_failed_send_leaves_a_cancel_alone(store: SqlStore) -> None:
    stored = await store.accept(new_message(1))
    await store.cancel(stored.deliveries[0], actor="anna")
    for state in (State.RETRYING, State.DEAD):
        with pytest.raises(IllegalTransition):
            await store.record(step(stored, state))


async def test_only_what_waits_for_a_retry_can_be_hurried(store: SqlStore) -> None:
    stored = await store.accept(new_message(1))
    [delivery] = stored.deliveries
    with pytest.raises(IllegalTransition):
        await store.hurry(delivery)
    await store.record(step(stored, State.RETRYING))
    entry = await store.hurry(delivery)
    found = await store.delivery(delivery)
    assert found is not None
    assert found.next_at == entry.next_at
    assert found.next_at is not None
    assert abs(datetime.now(UTC) - found.next_at) < timedelta(seconds=5)


async def test_a_stopped_channel_is_remembered(tmp_path: Path) -> None:
    for opening in range(2):
        store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
        await store.open()
        if not opening:
            await store.halt(LIS, actor="anna", reason="new analyser")
            await store.halt(LIS, actor="ben", reason="")
        [halt] = await store.halted()
        assert (halt.channel, halt.actor, halt.reason) == (LIS, "anna", "new analyser")
        if opening:
            await store.resume(LIS)
            assert await store.halted() == []
        await store.close(GRACE)
