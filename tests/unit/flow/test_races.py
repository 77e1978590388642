"""What happens at the same moment: a person, a reload, a stop or a failing store between two steps
of a delivery."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.config.model import Ordering
from engine.contract import (
    ErrorInfo,
    IllegalTransition,
    MappingError,
    RejectedError,
    RetryableError,
    Stage,
    State,
    StoreUnavailable,
    UncertainError,
)
from engine.flow.cache import MessageCache
from tests.unit.flow.hospital import Push, Says, Scripted, hospital, plain

INFO = ErrorInfo("T-1", "test", Stage.SENDING)


async def test_a_replay_finds_its_lane_after_their_number_changed(tmp_path: Path) -> None:
    def lanes(number: int) -> Any:
        keyed = Ordering("keyed", key="patient", lanes=number)
        return lambda s, p: plain(s, p, ordering=keyed)

    peer = Scripted()
    peer.script = lambda _: RejectedError(INFO)
    async with hospital(tmp_path, lanes(8), peer=peer) as h:
        receipts = [await h.push(f"k{n} x") for n in range(8)]
        dead = [await h.until_state(each.message_id, State.DEAD) for each in receipts]
    async with hospital(tmp_path, lanes(3)) as h:
        for each in dead:
            await h.engine.replay(each.deliveries[0].delivery, actor="anna")
        for receipt in receipts:
            await h.until_state(receipt.message_id, State.SENT)
        assert sorted(h.peer.texts) == [f"K{n} X" for n in range(8)]


async def test_an_unknown_outcome_without_order_goes_again_after_a_restart(tmp_path: Path) -> None:
    def free(source: Push, peer: Scripted) -> Any:
        return plain(source, peer, ordering=Ordering("none"), on_uncertain="retry")

    cut = Scripted()
    async with hospital(tmp_path, free, peer=cut) as h:
        cut.gate.clear()
        receipt = await h.push("k x")
        await h.until(lambda: cut.sending == 1)
        h.engine.request_stop(fast=True)
        await h.until(lambda: cut.sending == 0)
    async with hospital(tmp_path, free) as h:
        await h.until_state(receipt.message_id, State.SENT)
        assert [sent.possible_duplicate for sent in h.peer.delivered] == [True]


async def test_what_the_peer_has_is_not_cancelled_before_it_is_recorded(
    tmp_path: Path, monkeypatch: Any
) -> None:
    async with hospital(tmp_path) as h:
        store, go_on = h.engine.store, asyncio.Event()
        record_all = store.record_all

        async def slowly(events: Any) -> Any:
            await go_on.wait()
            return await record_all(events)

        monkeypatch.setattr(store, "record_all", slowly)
        receipt = await h.push("k x")
        await h.until(lambda: h.peer.texts == ["K X"])
        delivery = (await h.summary(receipt.message_id)).deliveries[0].delivery
        with pytest.raises(IllegalTransition):
            await h.engine.cancel(delivery, actor="anna")
        go_on.set()
        await h.until_state(receipt.message_id, State.SENT)


async def test_what_is_cancelled_while_it_is_loaded_is_not_sent(
    tmp_path: Path, monkeypatch: Any
) -> None:
    async with hospital(tmp_path, lambda s, p: plain(s, p, on_uncertain="retry")) as h:
        store = h.engine.store
        loading, go_on = asyncio.Event(), asyncio.Event()
        load = store.load

        async def slowly(message_id: Any) -> Any:
            loading.set()
            await go_on.wait()
            return await load(message_id)

        monkeypatch.setattr(store, "load", slowly)
        monkeypatch.setattr(MessageCache, "get", lambda *_: None)
        receipt = await h.push("k x")
        await loading.wait()
        delivery = (await h.summary(receipt.message_id)).deliveries[0].delivery
        await h.engine.cancel(delivery, actor="anna")
        go_on.set()
        behind = await h.push("k behind")
        await h.until_state(behind.message_id, State.SENT)
        assert h.peer.seen == ["K BEHIND"]


async def test_a_delivery_that_cannot_be_looked_up_harms_no_send_under_way(
    tmp_path: Path, monkeypatch: Any
) -> None:
    free = Ordering("none", concurrency=2)
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=free)) as h:
        store, failing = h.engine.store, [True]
        delivery = store.delivery

        async def once(number: Any) -> Any:
            if failing:
                failing.clear()
                raise StoreUnavailable(INFO)
            return await delivery(number)

        monkeypatch.setattr(store, "delivery", once)
        retried = [True]

        def script(sent: Any) -> Any:
            if sent.payload.body == b"A AGAIN" and retried:
                retried.clear()
                h.peer.gate.clear()
                return RetryableError(INFO)
            return None

        h.peer.script = script
        first = await h.push("a again")
        await h.until(lambda: not retried)
        second = await h.push("b x")
        await h.until(lambda: not failing)
        h.peer.gate.set()
        for receipt in (first, second):
            await h.until_state(receipt.message_id, State.SENT)
        assert h.peer.opened == 1


async def test_an_unknown_outcome_is_known_to_who_sends_after_a_reload(
    tmp_path: Path, monkeypatch: Any
) -> None:
    source, peer, after = Push(), Scripted(), Scripted()
    changed = plain(source, after, version="2")
    async with hospital(tmp_path, source=source, peer=peer) as h:
        store, asked, broken = h.engine.store, asyncio.Event(), [True]
        record = store.record

        async def fails(event: Any) -> None:
            if broken:
                asked.set()
                raise StoreUnavailable(INFO)
            await record(event)

        monkeypatch.setattr(store, "record", fails)
        peer.script = lambda _: UncertainError(INFO)
        receipt = await h.push("k x")
        await asked.wait()
        reloading = asyncio.create_task(h.engine.reload(changed))
        await h.until(lambda: "out" not in h.engine._running)
        broken.clear()
        await reloading
        await h.until_state(receipt.message_id, State.UNCERTAIN)
        await h.until(lambda: h.engine.status().channels[1].blocked)
        assert not after.seen
        assert not h.engine._outbound["out"]._lanes.cut


async def test_a_defect_on_the_way_out_does_not_keep_a_channel_alive(tmp_path: Path) -> None:
    class Stubborn(Scripted):
        async def close(self, grace: Any) -> None:
            raise ZeroDivisionError

    async with hospital(tmp_path, peer=Stubborn()) as h:
        await h.until(lambda: h.engine.status().ready)
        async with asyncio.timeout(2):
            await h.engine.stop_channel("out", actor="anna")
        assert "out" not in h.engine._outbound


async def test_a_key_that_cannot_be_evaluated_costs_no_message(tmp_path: Path) -> None:
    def broken(_: str) -> str:
        raise MappingError(INFO)

    keyed = Ordering("keyed", key_expression=Says(broken), lanes=2)  # type: ignore[arg-type]
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=keyed)) as h:
        receipt = await h.push("k x")
        await h.until_state(receipt.message_id, State.SENT)
        assert h.engine.status().channels[0].last_error == INFO
