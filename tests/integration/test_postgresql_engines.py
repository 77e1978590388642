"""Engines that share a store, each with a broker of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.broker.embedded import EmbeddedBroker
from engine.contract import Outcome
from engine.flow import takeover
from engine.flow.engine import Engine
from engine.store import membership, open_store
from engine.store.postgresql import nodes
from tests.unit.flow.hospital import Push, Scripted, plain


async def test_an_engine_goes_on_with_what_another_had_in_hand(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "LEASE_SECONDS", 0.6)
    monkeypatch.setattr(membership, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(takeover, "LOOK_SECONDS", 0.1)
    sources = [Push(), Push()]
    peers = [Scripted(), Scripted()]
    peers[0].gate.clear()  # the first engine cannot deliver
    stores = [open_store(database, data=tmp_path / str(number)) for number in range(2)]
    engines = [
        Engine(plain(source, peer, on_uncertain="retry"), store, EmbeddedBroker())
        for source, peer, store in zip(sources, peers, stores, strict=True)
    ]
    running = []
    for engine in engines:
        started = asyncio.Event()
        running.append(asyncio.create_task(engine.run(started.set)))
        async with asyncio.timeout(10):
            await started.wait()
    for number in range(5):
        assert (await sources[0].push(f"first {number}")).outcome is Outcome.ACCEPTED
        assert (await sources[1].push(f"second {number}")).outcome is Outcome.ACCEPTED
    assert stores[0].members is not None
    beating = stores[0].members._tasks[0]
    beating.cancel()  # as when its machine stands still
    async with asyncio.timeout(20):
        while len(peers[1].delivered) < 10:
            await asyncio.sleep(0.05)
    assert sorted(peers[1].texts) == sorted(
        f"{which} {number}".upper() for which in ("first", "second") for number in range(5)
    )
    theirs = [sent for sent in peers[1].delivered if sent.payload.body.startswith(b"FIRST")]
    assert [sent.payload.body for sent in theirs] == sorted(sent.payload.body for sent in theirs)
    assert all(sent.possible_duplicate for sent in theirs), "it may have been sent already"
    for peer, engine in zip(peers, engines, strict=True):
        peer.gate.set()
        engine.request_stop(fast=True)
    await asyncio.gather(*running, return_exceptions=True)
