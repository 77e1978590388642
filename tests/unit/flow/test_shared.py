"""The flow over a broker that other processes use too: it outlives this one, and is not purged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.broker.embedded import EmbeddedBroker
from engine.config.model import Configuration, Ordering
from engine.contract import (
    BrokerUnavailable,
    ChannelName,
    Envelope,
    ErrorInfo,
    RejectedError,
    RetryableError,
    Stage,
    State,
    UncertainError,
)
from engine.flow import engine as flow_engine
from engine.flow import shared
from tests.unit.flow.hospital import Push, Scripted, hospital, plain

INFO = ErrorInfo("T-1", "test", Stage.SENDING)
KEYED = Ordering("keyed", key="patient", lanes=4)
FREE = Ordering("none", concurrency=4)


class Lasting(EmbeddedBroker):
    """Keeps its queues when an engine leaves it; may be away for a while."""

    shared = True

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.published = 0

    async def close(self, grace: timedelta) -> None: ...

    async def publish(self, queue: str, envelopes: Sequence[Envelope]) -> None:
        if self.away:
            raise BrokerUnavailable(INFO)
        await super().publish(queue, envelopes)
        self.published += len(envelopes)

    async def held(self) -> int:
        return sum([(await self.stats(name)).leased for name in self._queues])


async def test_each_key_keeps_its_order_and_few_envelopes_carry_many_deliveries(
    tmp_path: Path,
) -> None:
    broker = Lasting()
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=KEYED), broker=broker) as h:
        await asyncio.gather(*(h.push(f"k{n % 7} {n}") for n in range(300)))
        await h.until(lambda: len(h.peer.texts) == 300)
        for key in range(7):
            mine = [text for text in h.peer.texts if text.startswith(f"K{key} ")]
            assert mine == [f"K{key} {n}" for n in range(300) if n % 7 == key]
        assert broker.published < 300
        async with asyncio.timeout(5):
            while await broker.held():
                await asyncio.sleep(0.01)


async def test_without_order_each_delivery_has_its_envelope(tmp_path: Path) -> None:
    broker = Lasting()
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=FREE), broker=broker) as h:
        await asyncio.gather(*(h.push(f"k {n}") for n in range(100)))
        await h.until(lambda: len(h.peer.texts) == 100)
        assert broker.published == 100
        assert h.peer.peak > 1


@pytest.mark.parametrize("ordering", [Ordering(), KEYED, FREE])
async def test_what_is_accepted_while_the_broker_is_away_is_delivered_when_it_is_back(
    tmp_path: Path, monkeypatch: Any, ordering: Ordering
) -> None:
    monkeypatch.setattr(shared, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(shared, "UNANNOUNCED", 20)
    monkeypatch.setattr(shared, "PAGE", 7)
    broker = Lasting()
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=ordering), broker=broker) as h:
        broker.away = True
        receipts = await asyncio.gather(*(h.push(f"k{n % 3} {n}") for n in range(50)))
        assert not h.peer.seen
        broker.away = False
        await h.until(lambda: len(h.peer.texts) == 50)
        await h.until_state(receipts[-1].message_id, State.SENT)
        assert len(h.peer.seen) == 50


async def test_the_next_process_takes_over_where_this_one_left(tmp_path: Path) -> None:
    broker, peer = Lasting(), Scripted()
    peer.script = lambda _: RetryableError(INFO, after=timedelta(hours=1))
    async with hospital(tmp_path, peer=peer, broker=broker) as h:
        receipts = [await h.push(f"k {n}") for n in range(5)]
        await h.until_state(receipts[0].message_id, State.RETRYING)
        first = (await h.summary(receipts[0].message_id)).deliveries[0].delivery
    async with hospital(tmp_path, broker=broker) as h:
        await h.until(lambda: h.engine.status().ready)
        await asyncio.sleep(0.05)
        assert not h.peer.seen  # the first still waits for its time, and the others for it
        await h.engine.replay(first, actor="anna")
        await h.until_state(receipts[4].message_id, State.SENT)
        assert h.peer.texts == [f"K {n}" for n in range(5)]
        assert [sent.attempt for sent in h.peer.delivered] == [2, 1, 1, 1, 1]
        assert not any(sent.possible_duplicate for sent in h.peer.delivered)


async def test_a_mark_that_another_process_left_is_an_unknown_outcome(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """As after a kill: the attempt was marked, and nobody recorded how it ended."""
    monkeypatch.setattr(flow_engine, "LOOK_AGAIN", timedelta(milliseconds=20))
    broker, peer = Lasting(), Scripted()
    peer.opening = None
    async with hospital(tmp_path, lambda s, p: plain(s, p), peer=peer, broker=broker) as h:
        await h.engine.stop_channel("out", actor="anna")
        receipt = await h.push("k x")
        delivery = (await h.summary(receipt.message_id)).deliveries[0].delivery
        await h.engine.store.begin(delivery, 1)
        await h.engine.store.resume(ChannelName("out"))  # for whoever starts next
    async with hospital(tmp_path, broker=broker) as h:
        summary = await h.until_state(receipt.message_id, State.UNCERTAIN)
        assert summary.deliveries[0].error is not None
        assert summary.deliveries[0].error.code == "FLOW-ABANDONED"
        assert not h.peer.seen
        # A person decides in another process: only the store knows.
        await h.engine.store.replay(delivery, actor="anna")
        await h.until_state(receipt.message_id, State.SENT)


@pytest.mark.parametrize("ordering", [Ordering(), FREE])
async def test_held_dead_and_cancelled_as_with_a_broker_of_its_own(
    tmp_path: Path, ordering: Ordering
) -> None:
    broker = Lasting()
    errors: dict[str, Exception] = {"u": UncertainError(INFO), "d": RejectedError(INFO)}

    def make(source: Push, peer: Scripted) -> Configuration:
        return plain(source, peer, ordering=ordering)

    async with hospital(tmp_path, make, broker=broker) as h:
        h.peer.script = lambda sent: errors.pop(sent.payload.body.decode()[2:].lower(), None)
        dead = await h.push("k d")
        await h.until_state(dead.message_id, State.DEAD)
        unknown = await h.push("k u")
        summary = await h.until_state(unknown.message_id, State.UNCERTAIN)
        await h.engine.replay(summary.deliveries[0].delivery, actor="anna")
        await h.until_state(unknown.message_id, State.SENT)
        found = await h.summary(dead.message_id)
        await h.engine.replay(found.deliveries[0].delivery, actor="anna")
        await h.until_state(dead.message_id, State.SENT)
