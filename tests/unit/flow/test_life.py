"""Backlogs, restarts, reloads and drains: the flow over time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.config.model import Alerts, Configuration, Keep, Ordering, Route
from engine.contract import (
    ChannelName,
    ErrorInfo,
    IllegalTransition,
    NotConnected,
    Outcome,
    Query,
    RetryableError,
    Stage,
    State,
    StoreUnavailable,
    UnknownMessage,
)
from engine.flow import housekeeping, outbound, outbox, supervision
from engine.flow.alerts import Alert
from engine.flow.orphans import Orphans
from engine.flow.status import ChannelState
from tests.unit.flow.hospital import (
    FAST,
    Push,
    Scripted,
    WordsFormat,
    channel,
    configuration,
    hospital,
    plain,
)

INFO = ErrorInfo("T-1", "test", Stage.SENDING)


async def test_a_long_backlog_is_read_from_the_store_in_order(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(outbox, "WINDOW", 40)
    keyed = Ordering("keyed", key="patient", lanes=4)
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=keyed)) as h:
        h.peer.gate.clear()
        for start in range(0, 600, 100):
            await asyncio.gather(*(h.push(f"k{n % 11} {n}") for n in range(start, start + 100)))
        lanes = h.engine._outbound["out"].relay.lanes
        assert all(lane.behind for lane in lanes)
        assert all(len(lane.inside) <= lane.window for lane in lanes)
        h.peer.gate.set()
        late = asyncio.gather(*(h.push(f"k{n % 11} {n}") for n in range(600, 700)))
        await h.until(lambda: len(h.peer.texts) == 700)
        await late
        for key in range(11):
            mine = [text for text in h.peer.texts if text.startswith(f"K{key} ")]
            assert mine == [f"K{key} {n}" for n in range(700) if n % 11 == key]
        await h.until(lambda: not any(lane.behind for lane in lanes))


async def test_a_lane_that_retries_does_not_hold_up_its_neighbours(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(outbox, "WINDOW", 40)
    keyed = Ordering("keyed", key="patient", lanes=4)
    async with hospital(tmp_path, lambda s, p: plain(s, p, ordering=keyed)) as h:
        later = RetryableError(INFO, after=timedelta(hours=1))
        h.peer.script = lambda sent: later if sent.payload.body.startswith(b"K1 ") else None
        await asyncio.gather(*(h.push(f"k{n % 2} {n}") for n in range(400)))
        await h.until(lambda: sum(text.startswith("K0 ") for text in h.peer.texts) == 200)


async def test_what_waited_is_delivered_by_the_next_engine(tmp_path: Path) -> None:
    peer = Scripted()
    peer.script = lambda _: RetryableError(INFO, after=timedelta(hours=1))
    async with hospital(tmp_path, peer=peer) as h:
        receipts = [await h.push(f"k {n}") for n in range(5)]
        await h.until_state(receipts[0].message_id, State.RETRYING)
        entry = await h.engine.store.delivery(
            (await h.summary(receipts[0].message_id)).deliveries[0].delivery
        )
        assert entry is not None
        first = entry.delivery
    async with hospital(tmp_path) as h:
        await h.until(lambda: h.engine.status().ready)
        assert not h.peer.seen  # the first still waits for its time, and the others for it
        await h.engine.replay(first, actor="anna")
        await h.until_state(receipts[4].message_id, State.SENT)
        assert h.peer.texts == [f"K {n}" for n in range(5)]
        assert [sent.attempt for sent in h.peer.delivered] == [2, 1, 1, 1, 1]
        assert not any(sent.possible_duplicate for sent in h.peer.delivered)


async def test_a_send_under_way_ends_before_the_engine_does(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.gate.clear()
        receipt = await h.push("k x")
        await h.until(lambda: h.peer.sending == 1)
        h.engine.request_stop()
        await asyncio.sleep(0.05)
        h.peer.gate.set()
    async with hospital(tmp_path) as h:
        assert await h.states(receipt.message_id) == [State.RECEIVED, State.SENT]


async def test_a_send_that_a_fast_stop_cuts_off_is_uncertain(tmp_path: Path) -> None:
    peer = Scripted()
    async with hospital(tmp_path, peer=peer) as h:
        peer.gate.clear()
        receipt = await h.push("k x")
        await h.until(lambda: peer.sending == 1)
        h.engine.request_stop(fast=True)
        await h.until(lambda: peer.sending == 0)
    async with hospital(tmp_path) as h:
        summary = await h.until_state(receipt.message_id, State.UNCERTAIN)
        assert summary.deliveries[0].error is not None
        assert summary.deliveries[0].error.code == "FLOW-INTERRUPTED"
        await h.until(lambda: h.engine.status().channels[1].blocked)
    deduplicates = Scripted()
    async with hospital(
        tmp_path, lambda s, p: plain(s, p, on_uncertain="retry"), peer=deduplicates
    ) as h:
        await h.until_state(receipt.message_id, State.SENT)
        assert [sent.possible_duplicate for sent in deduplicates.delivered] == [True]


async def test_a_reload_restarts_only_what_changed(tmp_path: Path) -> None:
    source, old_peer, new_peer, second = Push(), Scripted(), Scripted(), Scripted()
    old = plain(source, old_peer, ordering=Ordering("keyed", key="patient", lanes=8))

    def after(*_: Any) -> Configuration:
        changed = channel(
            "out",
            "outbound",
            new_peer,
            version="2",
            retry=FAST,
            ordering=Ordering("keyed", key="patient", lanes=3),
        )
        added = channel("second", "outbound", second)
        routes: list[Route] = list(old.routes)
        return configuration([old.channels["in"], changed, added], routes, "c2")

    async with hospital(tmp_path, lambda *_: old, source=source, peer=old_peer) as h:
        old_peer.script = lambda _: RetryableError(INFO, after=timedelta(milliseconds=1))
        sending = [asyncio.create_task(h.push(f"k{n % 20} {n}")) for n in range(200)]
        await h.until(lambda: len(old_peer.seen) > 10)
        await h.engine.reload(after())
        sending += [asyncio.create_task(h.push(f"k{n % 20} {n}")) for n in range(200, 300)]
        await asyncio.gather(*sending)
        await h.until(lambda: len(new_peer.texts) == 300)
        assert source.opened == 1
        assert second.opened == 1
        for key in range(20):
            mine = [text for text in new_peer.texts if text.startswith(f"K{key} ")]
            assert mine == [f"K{key} {n}" for n in range(300) if n % 20 == key]
        assert h.engine.status().version == "c2"


async def test_what_waits_for_something_removed_is_told(tmp_path: Path) -> None:
    source, peer = Push(), Scripted()
    peer.opening = NotConnected(INFO)
    old = plain(source, peer)
    without_route = configuration([*old.channels.values()], [], "c2")
    without_channel = configuration([old.channels["in"]], [], "c3")
    async with hospital(tmp_path, lambda *_: old, source=source, peer=peer) as h:
        receipts = [await h.push(f"k {n}") for n in range(2)]
        assert await h.engine.reload(old) == ()
        assert await h.engine.reload(without_route) == (Orphans("out", "all", "out", 2),)
        [gone] = await h.engine.reload(without_channel)
        assert "2 deliveries wait for channel out" in str(gone)
        await h.until(lambda: h.engine.status().channels[-1].waiting == 2)
        removed = h.engine.status().channels[-1]
        assert (removed.name, removed.state) == ("out", ChannelState.REMOVED)
        assert h.engine.status().ready  # it takes and sends all that it is configured for
        peer.opening = None
        assert await h.engine.reload(old) == ()
        await h.until_state(receipts[1].message_id, State.SENT)
        assert [each.name for each in h.engine.status().channels] == ["in", "out"]


async def test_an_unrouted_message_is_routed_again_once_a_route_wants_it(tmp_path: Path) -> None:
    source, peer = Push(), Scripted()
    wanted = plain(source, peer)
    nothing = configuration([*wanted.channels.values()], [], "c0")
    async with hospital(tmp_path, lambda *_: nothing, source=source, peer=peer) as h:
        receipt = await h.push("k x")
        message_id = receipt.message_id
        assert message_id is not None
        assert (await h.summary(message_id)).state is State.UNROUTED
        with pytest.raises(IllegalTransition, match="FLOW-UNWANTED"):
            await h.engine.reroute(message_id, actor="anna")
        await h.engine.reload(wanted)
        await h.engine.reroute(message_id, actor="anna")
        await h.until(lambda: h.peer.texts == ["K X"])
        await h.until_state(message_id, State.SENT)
        after = await h.push("k y")
        await h.until_state(after.message_id, State.SENT)
        with pytest.raises(IllegalTransition, match="STORE-TRANSITION"):
            await h.engine.reroute(message_id, actor="anna")
        assert peer.texts == ["K X", "K Y"]
        await h.engine.reload(configuration([wanted.channels["out"]], [], "c2"))
        with pytest.raises(IllegalTransition, match="FLOW-UNBOUND"):
            await h.engine.reroute(message_id, actor="anna")


async def test_each_channel_says_how_long_and_the_default_holds_for_removed_ones(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(housekeeping, "RETENTION_SECONDS", 0.02)
    short = Keep(content=timedelta(0), events=timedelta(days=1))
    kept, gone = Push(), Push()
    both = configuration(
        [channel("kept", "inbound", kept, keep=short), channel("gone", "inbound", gone)], []
    )
    async with hospital(tmp_path, lambda *_: both) as h:
        for source in (kept, gone):
            await source.push("k x")
        store = h.engine.store
        found = {each.channel: each.message_id for each in await store.search(Query())}
        assert await store.sources() == ["gone", "kept"]

        async def purged(name: str) -> bool:
            try:
                await store.load(found[ChannelName(name)])
            except UnknownMessage:
                return True
            return False

        async with asyncio.timeout(5):
            while not await purged("kept"):
                await asyncio.sleep(0.01)
        assert not await purged("gone")
        await h.engine.reload(configuration([both.channels["kept"]], []))
        monkeypatch.setattr(housekeeping, "Keep", lambda: short)
        async with asyncio.timeout(5):
            while not await purged("gone"):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("on_uncertain", ["retry", "hold"])
async def test_what_waited_in_a_stopped_channel_is_sent_once(
    tmp_path: Path, on_uncertain: str
) -> None:
    peer = Scripted()
    peer.opening = NotConnected(INFO)
    make: Any = lambda s, p: plain(s, p, on_uncertain=on_uncertain)  # noqa: E731
    async with hospital(tmp_path, make, peer=peer) as h:
        for n in range(3):
            await h.push(f"k {n}")
        for _ in range(2):
            await h.engine.stop_channel("out", actor="anna")
            await h.engine.start_channel("out")
        await h.engine.stop_channel("out", actor="anna")
        peer.opening = None
        await h.engine.start_channel("out")
        last = await h.push("k 3")
        await h.until_state(last.message_id, State.SENT)
        assert peer.seen == ["K 0", "K 1", "K 2", "K 3"]


async def test_a_channel_is_stopped_and_started_by_a_person(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        await h.engine.stop_channel("out", actor="anna")
        receipt = await h.push("k x")
        assert receipt.outcome is Outcome.ACCEPTED
        assert h.engine.status().channels[1].state is ChannelState.STOPPED
        assert not h.peer.seen
        await h.engine.start_channel("out")
        await h.until_state(receipt.message_id, State.SENT)


async def test_a_channel_that_was_opened_again_with_nothing_to_send_runs(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(supervision, "TRIAL_SECONDS", 0.05)
    monkeypatch.setattr(supervision, "FIRST_PAUSE", 0.05)
    async with hospital(tmp_path) as h:
        h.peer.script = lambda _: NotConnected(INFO)
        receipt = await h.push("k x")
        await h.until(lambda: h.engine.status().channels[1].state is ChannelState.FAILED)
        tried = len(h.peer.seen)
        await h.until(lambda: len(h.peer.seen) > tried)
        assert h.engine.status().channels[1].state is ChannelState.FAILED  # a send is still due
        await h.engine.cancel(
            (await h.summary(receipt.message_id)).deliveries[0].delivery, actor=""
        )
        await h.until(lambda: h.engine.status().ready)
        pauses = h.engine._outbound["out"].connection._failures
        await h.push("k y")
        await h.until(lambda: h.engine.status().channels[1].state is ChannelState.FAILED)
        assert h.engine._outbound["out"].connection._failures > pauses  # they go on growing
        h.peer.script = lambda _: None
        await h.until(lambda: h.peer.texts == ["K Y"])
        assert h.engine.status().ready


async def test_alerts_begin_and_end(tmp_path: Path) -> None:
    alerts = Alerts(queue_over=1)
    async with hospital(tmp_path, lambda s, p: plain(s, p, alerts=alerts)) as h:
        h.peer.gate.clear()
        for n in range(3):
            await h.push(f"k {n}")
        await h.until(lambda: h.engine.status().channels[1].alerts == (Alert.QUEUE_OVER,))
        h.peer.gate.set()
        await h.until(lambda: not h.engine.status().channels[1].alerts)


async def test_a_store_that_cannot_write_is_said_and_survived(
    tmp_path: Path, monkeypatch: Any
) -> None:
    async with hospital(tmp_path) as h:
        store = h.engine.store
        full = StoreUnavailable(ErrorInfo("STORE-FULL", "no space", Stage.STORING))

        async def fails(*_: Any) -> Any:
            raise full

        async def all_fail(events: Any) -> Any:
            return [full for _ in events]

        working = await h.push("k 0")
        await h.until_state(working.message_id, State.SENT)
        with monkeypatch.context() as patched:
            patched.setattr(store, "accept", fails)
            refused = await h.push("k 1")
        assert refused.outcome is Outcome.UNAVAILABLE
        assert refused.error == full.info
        with monkeypatch.context() as patched:
            patched.setattr(store, "record_all", all_fail)
            receipt = await h.push("k 2")
            await h.until(lambda: h.peer.texts == ["K 0", "K 2"])
        await h.until_state(receipt.message_id, State.SENT)
        assert h.peer.texts == ["K 0", "K 2"]


async def test_a_stop_does_not_wait_for_ever_for_a_store_that_cannot_write(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(outbound, "OUTCOMES_GRACE", timedelta(milliseconds=50))
    full = StoreUnavailable(ErrorInfo("STORE-FULL", "no space", Stage.STORING))

    async def all_fail(events: Any) -> Any:
        return [full for _ in events]

    async with hospital(tmp_path, lambda s, p: plain(s, p, on_uncertain="retry")) as h:
        monkeypatch.setattr(h.engine.store, "record_all", all_fail)
        receipt = await h.push("k x")
        await h.until(lambda: h.peer.texts == ["K X"])
    async with hospital(tmp_path, lambda s, p: plain(s, p, on_uncertain="retry")) as h:
        await h.until_state(receipt.message_id, State.SENT)
        assert [sent.possible_duplicate for sent in h.peer.delivered] == [True]


async def test_an_outcome_whose_content_cannot_be_stored_is_recorded_without_it(
    tmp_path: Path, monkeypatch: Any
) -> None:
    async with hospital(tmp_path) as h:
        store, refusal = h.engine.store, ErrorInfo("STORE-REFUSED", "no", Stage.STORING)
        record_all = store.record_all

        async def refuses_content(events: Any) -> Any:
            if any(event.sent is not None for event in events):
                return [StoreUnavailable(refusal) for _ in events]
            return await record_all(events)

        monkeypatch.setattr(store, "record_all", refuses_content)
        receipt = await h.push("k x")
        await h.until_state(receipt.message_id, State.SENT)


async def test_a_defect_in_a_format_is_answered_and_kept(tmp_path: Path, monkeypatch: Any) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("k secret")

    async with hospital(tmp_path) as h:
        with monkeypatch.context() as patched:
            patched.setattr(WordsFormat, "key", fails)
            receipt = await h.push("k secret")
        assert receipt.outcome is Outcome.REJECTED
        assert receipt.error is not None
        assert receipt.error.code == "FLOW-DEFECT"
        assert "secret" not in receipt.error.summary
        assert (await h.summary(receipt.message_id)).state is State.REJECTED
        assert (await h.push("k fine")).outcome is Outcome.ACCEPTED
