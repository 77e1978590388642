"""Engines that share a store and a broker are one: whichever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from engine.config.model import Ordering, RetryPolicy
from engine.contract import DeliveryId, ErrorInfo, IllegalTransition, RetryableError, Stage, State
from engine.flow.engine import Engine
from engine.flow.status import ChannelState
from engine.store import SqlStore, open_store
from tests.unit.flow.hospital import Hospital, Push, Scripted, plain
from tests.unit.flow.test_shared import Lasting

FREE = Ordering("none", concurrency=2)
LATER = RetryPolicy(first=timedelta(minutes=9), max=timedelta(minutes=9), jitter=0)
BUSY = ErrorInfo("T-1", "busy", Stage.SENDING)


@dataclass
class Pair:
    """``worker`` has every lane, ``other`` none."""

    worker: Hospital
    other: Hospital

    async def delivery(self, text: str) -> tuple[DeliveryId, str]:
        receipt = await self.other.push(text)
        assert receipt.message_id is not None
        summary = await self.other.summary(receipt.message_id)
        return summary.deliveries[0].delivery, receipt.message_id


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def pair(database: str, folder: Path, **outbound: object) -> AsyncIterator[Pair]:
    """The second engine takes messages only: its destinations run in the first."""
    broker = Lasting()
    halls: list[Hospital] = []
    running: list[asyncio.Task[None]] = []
    for number, role in enumerate(("all", "sources")):
        source, peer = Push(), Scripted()
        store = open_store(database, data=folder / str(number))
        assert isinstance(store, SqlStore)
        engine = Engine(
            plain(source, peer, **outbound),
            store,
            broker,
            role="all" if role == "all" else "sources",
            leases=store.members,
            members=store.members,
        )
        started = asyncio.Event()
        running.append(asyncio.create_task(engine.run(started.set)))
        async with asyncio.timeout(10):
            await started.wait()
        halls.append(Hospital(engine, source, peer, folder))
    try:
        yield Pair(*halls)
    finally:
        for hall in reversed(halls):
            hall.peer.gate.set()
            hall.engine.request_stop()
        await asyncio.gather(*running)


@pytest.mark.parametrize("ordering", [Ordering(), FREE], ids=["strict", "none"])
async def test_a_cancel_reaches_the_engine_that_has_the_delivery(
    database: str, tmp_path: Path, ordering: Ordering
) -> None:
    async with pair(database, tmp_path, ordering=ordering, retry=LATER) as two:
        two.worker.peer.script = lambda _: RetryableError(BUSY)
        delivery, message = await two.delivery("k x")
        await two.other.until_state(message, State.RETRYING)  # type: ignore[arg-type]
        await two.other.engine.cancel(delivery, actor="anna")
        two.worker.peer.script = lambda _: None
        _, following = await two.delivery("k y")  # where order counts, it waited behind
        await two.other.until_state(following, State.SENT)  # type: ignore[arg-type]
        assert two.worker.peer.texts == ["K Y"]


@pytest.mark.parametrize("ordering", [Ordering(), FREE], ids=["strict", "none"])
async def test_a_retry_is_hurried_from_elsewhere(
    database: str, tmp_path: Path, ordering: Ordering
) -> None:
    async with pair(database, tmp_path, ordering=ordering, retry=LATER) as two:
        failing = [RetryableError(BUSY)]
        two.worker.peer.script = lambda _: failing.pop() if failing else None
        delivery, message = await two.delivery("k x")
        await two.other.until_state(message, State.RETRYING)  # type: ignore[arg-type]
        await two.other.engine.replay(delivery, actor="anna")
        await two.other.until_state(message, State.SENT)  # type: ignore[arg-type]


@pytest.mark.parametrize("ordering", [Ordering(), FREE], ids=["strict", "none"])
async def test_a_replay_of_what_was_sent_goes_out_again(
    database: str, tmp_path: Path, ordering: Ordering
) -> None:
    async with pair(database, tmp_path, ordering=ordering) as two:
        delivery, message = await two.delivery("k x")
        await two.other.until_state(message, State.SENT)  # type: ignore[arg-type]
        await two.other.engine.replay(delivery, actor="anna")
        await until(lambda: two.worker.peer.texts == ["K X", "K X"])


async def test_a_cancel_while_the_other_sends_never_ends_in_a_lie(
    database: str, tmp_path: Path
) -> None:
    async with pair(database, tmp_path, on_uncertain="retry") as two:
        two.worker.peer.gate.clear()
        delivery, message = await two.delivery("k x")
        await until(lambda: two.worker.peer.sending == 1)
        await two.other.engine.cancel(delivery, actor="anna")
        two.worker.peer.gate.set()
        await two.other.until_state(message, State.SENT)  # type: ignore[arg-type]
        states = await two.other.states(message)  # type: ignore[arg-type]
        assert states[1:] == [State.CANCELLED, State.SENT]


async def test_a_marked_send_cannot_be_cancelled_from_elsewhere(
    database: str, tmp_path: Path
) -> None:
    async with pair(database, tmp_path, on_uncertain="hold") as two:
        two.worker.peer.gate.clear()
        delivery, message = await two.delivery("k x")
        await until(lambda: two.worker.peer.sending == 1)
        with pytest.raises(IllegalTransition, match="being sent"):
            await two.other.engine.cancel(delivery, actor="anna")
        two.worker.peer.gate.set()
        await two.other.until_state(message, State.SENT)  # type: ignore[arg-type]


async def test_a_channel_is_stopped_and_started_in_all_engines(
    database: str, tmp_path: Path
) -> None:
    async with pair(database, tmp_path) as two:
        await two.other.engine.stop_channel("out", actor="anna", reason="move")

        def state() -> Sequence[ChannelState]:
            return [
                each.state for each in two.worker.engine.status().channels if each.name == "out"
            ]

        await until(lambda: state() == [ChannelState.STOPPED])
        _, message = await two.delivery("k x")
        overview = await two.worker.engine.overview()
        halt = next(each.halt for each in overview.channels if each.name == "out")
        assert halt is not None
        assert (halt.actor, halt.reason) == ("anna", "move")
        assert not two.worker.peer.seen
        await two.other.engine.start_channel("out")
        await two.other.until_state(message, State.SENT)  # type: ignore[arg-type]


async def test_any_engine_shows_all_of_them(database: str, tmp_path: Path) -> None:
    async with pair(database, tmp_path) as two:
        _, message = await two.delivery("k x")
        await two.other.until_state(message, State.SENT)  # type: ignore[arg-type]
        async with asyncio.timeout(10):
            while True:
                pictures = [await one.engine.overview() for one in (two.worker, two.other)]
                counts = [[(c.received, c.sent) for c in one.channels] for one in pictures]
                if counts == [[(1, 0), (0, 1)]] * 2:
                    break
                await asyncio.sleep(0.05)
        for picture in pictures:
            assert [node.role for node in picture.nodes] == ["all", "sources"]
            assert picture.ready
        assert [node.here for node in pictures[1].nodes] == [False, True]
