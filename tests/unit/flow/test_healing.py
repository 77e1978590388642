"""A broker that lost what it confirmed: the store's outbox brings it back, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.config.model import Ordering
from engine.contract import Envelope, State
from engine.flow import healing
from tests.unit.flow.hospital import hospital, plain
from tests.unit.flow.test_shared import FREE, KEYED, Lasting


class Losing(Lasting):
    """While ``losing`` it confirms everything and keeps nothing."""

    losing = False

    async def publish(self, queue: str, envelopes: Sequence[Envelope]) -> None:
        if not self.losing:
            await super().publish(queue, envelopes)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healing, "LOOK_SECONDS", 0.02)


@pytest.mark.parametrize("ordering", [Ordering(), KEYED, FREE], ids=["strict", "keyed", "none"])
async def test_what_the_broker_lost_is_announced_again(tmp_path: Path, ordering: Ordering) -> None:
    broker = Losing()
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=ordering), broker=broker) as h:
        broker.losing = True
        receipts = [await h.push(f"k{n % 3} {n}") for n in range(20)]
        assert not h.peer.seen
        broker.losing = False
        for receipt in receipts:
            await h.until_state(receipt.message_id, State.SENT)
        for key in range(3):
            mine = [text for text in h.peer.texts if text.startswith(f"K{key} ")]
            assert len(mine) == len(set(mine))
            if ordering.kind != "none":
                assert mine == [f"K{key} {n}" for n in range(20) if n % 3 == key]
        assert len(h.peer.texts) == 20


@pytest.mark.parametrize("ordering", [Ordering(), FREE], ids=["strict", "none"])
async def test_a_lane_that_waits_for_its_peer_is_not_announced_for_ever(
    tmp_path: Path, ordering: Ordering
) -> None:
    broker = Losing()
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=ordering), broker=broker) as h:
        h.peer.gate.clear()
        receipts = [await h.push(f"k {n}") for n in range(5)]
        before = broker.published
        await asyncio.sleep(0.5)  # 25 looks
        assert broker.published - before <= 8
        h.peer.gate.set()
        for receipt in receipts:
            await h.until_state(receipt.message_id, State.SENT)
        assert len(h.peer.texts) == 5
