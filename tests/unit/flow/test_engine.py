"""The path of a message through the real store and broker, outcome by outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from engine.config.model import Configuration, DuplicateRule, Ordering, Target
from engine.contract import (
    EngineError,
    ErrorInfo,
    IllegalTransition,
    MappingError,
    NotConnected,
    Outbound,
    Outcome,
    Payload,
    RejectedError,
    RetryableError,
    Stage,
    State,
    UncertainError,
)
from engine.flow.pressure import PressureLimits
from engine.flow.status import ChannelState
from tests.unit.flow.hospital import (
    FAST,
    Push,
    Says,
    Scripted,
    Shouting,
    channel,
    configuration,
    hospital,
    key_of,
    plain,
    route,
)

INFO = ErrorInfo("T-1", "test", Stage.SENDING)
Make = Callable[[Push, Scripted], Configuration]


def outbound(**facts: object) -> Make:
    return lambda source, peer: plain(source, peer, **facts)


def fails(times: int, error: EngineError, text: str = "") -> Callable[[Outbound], Exception | None]:
    """A script: the first ``times`` sends of payloads that hold ``text`` fail."""
    left = [times]

    def script(sent: Outbound) -> Exception | None:
        if left[0] and text.encode() in sent.payload.body:
            left[0] -= 1
            return error
        return None

    return script


async def test_accepted_mapped_sent_and_recorded(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        receipt = await h.push("anna hello")
        assert receipt.outcome is Outcome.ACCEPTED
        await h.until_state(receipt.message_id, State.SENT)
        assert h.peer.texts == ["ANNA HELLO"]
        events = await h.engine.store.history(receipt.message_id or "", content=True)  # type: ignore[arg-type]
        assert [event.state for event in events] == [State.RECEIVED, State.SENT]
        sent = events[-1]
        assert (sent.attempt, sent.remote_id) == (1, "remote")
        assert (sent.mapping_version, sent.route_version) == ("v1", "r1")
        assert sent.sent == Payload(b"ANNA HELLO")
        assert sent.reply == Payload(b"thanks")
        status = {each.name: each for each in h.engine.status().channels}
        assert (status["in"].received, status["in"].accepted, status["out"].sent) == (1, 1, 1)
        assert h.engine.status().ready


async def test_strict_order_with_one_in_flight(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        await asyncio.gather(*(h.push(f"k{n % 7} {n}") for n in range(200)))
        await h.until(lambda: len(h.peer.texts) == 200)
        assert h.peer.texts == [f"K{n % 7} {n}" for n in range(200)]
        assert h.peer.peak == 1


async def test_keyed_order_side_by_side(tmp_path: Path) -> None:
    keyed = outbound(ordering=Ordering("keyed", key="patient", lanes=4))
    async with hospital(tmp_path, keyed) as h:
        h.peer.gate.clear()
        await asyncio.gather(*(h.push(f"k{n % 9} {n}") for n in range(180)))
        await h.until(lambda: h.peer.peak > 1)
        h.peer.gate.set()
        await h.until(lambda: len(h.peer.texts) == 180)
        for key in range(9):
            mine = [text for text in h.peer.texts if text.startswith(f"K{key} ")]
            assert mine == [f"K{key} {n}" for n in range(180) if n % 9 == key]
        assert 1 < h.peer.peak <= 4


async def test_no_order_with_concurrency(tmp_path: Path) -> None:
    free = outbound(ordering=Ordering("none", concurrency=5))
    async with hospital(tmp_path, free) as h:
        h.peer.script = fails(1, RetryableError(INFO), "1")
        for n in range(3):
            await h.push(f"k {n}")
        await h.until(lambda: len(h.peer.texts) == 3)
        assert h.peer.texts == ["K 0", "K 2", "K 1"]


async def test_a_retry_holds_its_lane_and_counts_attempts(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(3, RetryableError(INFO), "1")
        receipts = [await h.push(f"k {n}") for n in range(3)]
        await h.until_state(receipts[2].message_id, State.SENT)
        assert h.peer.texts == ["K 0", "K 1", "K 2"]
        assert await h.states(receipts[1].message_id) == [
            State.RECEIVED,
            *[State.RETRYING, State.QUEUED] * 3,
            State.SENT,
        ]
        assert [sent.attempt for sent in h.peer.delivered] == [1, 4, 1]


async def test_gives_up_into_a_dead_letter_and_goes_on(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(10**6, RetryableError(INFO), "DOOMED")
        doomed = await h.push("k doomed")
        after = await h.push("k after")
        await h.until_state(after.message_id, State.SENT)
        summary = await h.until_state(doomed.message_id, State.DEAD)
        assert summary.deliveries[0].error == INFO


@pytest.mark.parametrize("error", [RejectedError(INFO), MappingError(INFO)])
async def test_permanent_errors_are_dead_at_once(tmp_path: Path, error: EngineError) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(1, error)
        dead = await h.push("k dead")
        await h.until_state(dead.message_id, State.DEAD)
        assert h.peer.seen == ["K DEAD"]


async def test_not_connected_waits_and_counts_no_attempt(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(2, NotConnected(INFO))
        receipt = await h.push("k x")
        await h.until_state(receipt.message_id, State.SENT)
        assert [sent.attempt for sent in h.peer.delivered] == [1]
        assert await h.states(receipt.message_id) == [State.RECEIVED, State.SENT]
        assert h.peer.opened == 3


async def test_a_channel_that_cannot_open_is_shown_and_tried_again(tmp_path: Path) -> None:
    peer = Scripted()
    peer.opening = NotConnected(INFO)
    async with hospital(tmp_path, peer=peer) as h:
        receipt = await h.push("k x")
        await h.until(lambda: h.engine.status().channels[1].state is ChannelState.FAILED)
        assert h.engine.status().channels[1].last_error == INFO
        assert not h.engine.status().ready
        peer.opening = None
        await h.until_state(receipt.message_id, State.SENT)


async def test_uncertain_is_held_until_a_person_replays(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(1, UncertainError(INFO))
        held = await h.push("k held")
        behind = await h.push("k behind")
        summary = await h.until_state(held.message_id, State.UNCERTAIN)
        await h.until(lambda: h.engine.status().channels[1].blocked)
        assert h.peer.seen == ["K HELD"]
        await h.engine.replay(summary.deliveries[0].delivery, actor="anna")
        await h.until_state(behind.message_id, State.SENT)
        assert h.peer.texts == ["K HELD", "K BEHIND"]
        assert h.peer.delivered[0].possible_duplicate
        assert not h.peer.delivered[1].possible_duplicate
        events = await h.engine.store.history(summary.message_id)
        assert [(event.state, event.actor) for event in events[1:]] == [
            (State.UNCERTAIN, "engine"),
            (State.QUEUED, "anna"),
            (State.SENT, "engine"),
        ]


async def test_uncertain_is_cancelled_by_a_person(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(1, UncertainError(INFO))
        held = await h.push("k held")
        behind = await h.push("k behind")
        summary = await h.until_state(held.message_id, State.UNCERTAIN)
        await h.engine.cancel(summary.deliveries[0].delivery, actor="anna")
        await h.until_state(behind.message_id, State.SENT)
        assert h.peer.seen == ["K HELD", "K BEHIND"]
        await h.until_state(held.message_id, State.CANCELLED)


async def test_uncertain_goes_again_marked_where_the_peer_deduplicates(tmp_path: Path) -> None:
    async with hospital(tmp_path, outbound(on_uncertain="retry")) as h:
        h.peer.script = fails(1, UncertainError(INFO))
        receipt = await h.push("k x")
        await h.until_state(receipt.message_id, State.SENT)
        assert [(sent.attempt, sent.possible_duplicate) for sent in h.peer.delivered] == [(2, True)]
        assert await h.states(receipt.message_id) == [
            State.RECEIVED,
            State.UNCERTAIN,
            State.QUEUED,
            State.SENT,
        ]


async def test_an_uncertain_delivery_without_order_holds_up_nobody(tmp_path: Path) -> None:
    free = outbound(ordering=Ordering("none", concurrency=1))
    async with hospital(tmp_path, free) as h:
        h.peer.script = fails(1, UncertainError(INFO), "HELD")
        held = await h.push("k held")
        other = await h.push("k other")
        await h.until_state(other.message_id, State.SENT)
        summary = await h.until_state(held.message_id, State.UNCERTAIN)
        await h.engine.replay(summary.deliveries[0].delivery, actor="anna")
        await h.until_state(held.message_id, State.SENT)


async def test_a_connectors_defect_is_an_unknown_outcome(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = lambda _: ZeroDivisionError("k secret")
        receipt = await h.push("k secret")
        summary = await h.until_state(receipt.message_id, State.UNCERTAIN)
        error = summary.deliveries[0].error
        assert error is not None
        assert error.code == "FLOW-DEFECT"
        assert "secret" not in error.summary


async def test_a_dead_letter_is_replayed_through_the_mapping_deployed_now(tmp_path: Path) -> None:
    source, peer = Push(), Scripted()

    def broken(_: str) -> str:
        raise MappingError(ErrorInfo("R1", "no", Stage.MAPPING, "mappings/shout.yaml:1:1"))

    def made(mapping: Shouting, version: str) -> Configuration:
        target = Target("out", "out", mapping)  # type: ignore[arg-type]
        old = plain(source, peer)
        return configuration(list(old.channels.values()), [route("all", target)], version)

    async with hospital(
        tmp_path, lambda *_: made(Shouting(function=broken), "c1"), source=source, peer=peer
    ) as h:
        receipt = await h.push("k x")
        summary = await h.until_state(receipt.message_id, State.DEAD)
        assert summary.deliveries[0].error is not None
        assert summary.deliveries[0].error.location == "mappings/shout.yaml:1:1"
        await h.engine.reload(made(Shouting(version="v2"), "c2"))
        assert (source.opened, peer.opened) == (1, 1)  # no connection was touched
        await h.engine.replay(summary.deliveries[0].delivery, actor="anna")
        await h.until_state(receipt.message_id, State.SENT)
        assert peer.texts == ["K X"]
        assert not peer.delivered[0].possible_duplicate
        events = await h.engine.store.history(summary.message_id)
        assert events[-1].mapping_version == "v2"


async def test_a_delivery_that_waits_is_cancelled_but_not_one_being_sent(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.gate.clear()
        first, second = await h.push("k first"), await h.push("k second")
        await h.until(lambda: h.peer.sending == 1)
        being_sent = (await h.summary(first.message_id)).deliveries[0].delivery
        waiting = (await h.summary(second.message_id)).deliveries[0].delivery
        with pytest.raises(IllegalTransition):
            await h.engine.cancel(being_sent, actor="anna")
        await h.engine.cancel(waiting, actor="anna")
        h.peer.gate.set()
        await h.until_state(first.message_id, State.SENT)
        third = await h.push("k third")
        await h.until_state(third.message_id, State.SENT)
        assert h.peer.texts == ["K FIRST", "K THIRD"]


async def test_a_retry_that_waits_is_tried_at_once_on_replay(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        h.peer.script = fails(1, RetryableError(INFO, after=timedelta(hours=1)))
        receipt = await h.push("k x")
        summary = await h.until_state(receipt.message_id, State.RETRYING)
        await h.engine.replay(summary.deliveries[0].delivery, actor="anna")
        await h.until_state(receipt.message_id, State.SENT)


async def test_unreadable_input_is_rejected_and_kept(tmp_path: Path) -> None:
    async with hospital(tmp_path) as h:
        receipt = await h.push("unreadable")
        assert receipt.outcome is Outcome.REJECTED
        assert receipt.error is not None
        assert receipt.error.code == "WORDS-1"
        assert receipt.message_id is not None
        assert (await h.summary(receipt.message_id)).state is State.REJECTED
        assert (await h.engine.store.load(receipt.message_id)).payload.body == b"unreadable"
        assert (await h.push("k fine")).outcome is Outcome.ACCEPTED


def routed(source: Push, peer: Scripted) -> Configuration:
    def broken(_: str) -> bool:
        raise MappingError(INFO)

    return configuration(
        [
            channel(
                "in",
                "inbound",
                source,
                duplicates=DuplicateRule((Says(key_of),), timedelta(hours=1)),  # type: ignore[arg-type]
            ),
            channel("out", "outbound", peer, retry=FAST),
        ],
        [
            route("broken", Target("out", "out"), when=Says(broken)),
            route("wanted", Target("out", "out"), when=Says(lambda text: "wanted" in text)),
        ],
    )


async def test_routes_unrouted_and_duplicates(tmp_path: Path) -> None:
    async with hospital(tmp_path, routed) as h:
        wanted = await h.push("a wanted")
        again = await h.push("a wanted")
        nobody = await h.push("b unrouted")
        await h.until_state(wanted.message_id, State.SENT)
        assert h.peer.texts == ["a wanted"]  # no mapping: byte for byte
        assert again.outcome is Outcome.DUPLICATE
        assert again.message_id == wanted.message_id
        assert nobody.outcome is Outcome.ACCEPTED
        assert (await h.summary(nobody.message_id)).state is State.UNROUTED
        status = h.engine.status().channels[0]
        assert (status.accepted, status.duplicates, status.unrouted) == (2, 1, 1)
        assert status.last_error == INFO  # the condition that could not be evaluated


async def test_back_pressure_is_said_and_nothing_is_stored(tmp_path: Path) -> None:
    async with hospital(tmp_path, limits=PressureLimits(waiting=3)) as h:
        h.peer.gate.clear()
        for n in range(3):
            await h.push(f"k {n}")
        await h.until(lambda: h.engine.status().channels[1].waiting == 3)
        refused = await h.push("k refused")
        assert refused.outcome is Outcome.UNAVAILABLE
        assert refused.message_id is None
        assert h.engine.status().refusing == refused.error
        assert not h.engine.status().ready
        h.peer.gate.set()
        await h.until(lambda: len(h.peer.texts) == 3)
        async with asyncio.timeout(5):
            while (await h.push("k taken")).outcome is Outcome.UNAVAILABLE:
                await asyncio.sleep(0.05)
        assert h.engine.status().refusing is None


async def test_acknowledged_only_when_delivered(tmp_path: Path) -> None:
    def waits(source: Push, peer: Scripted) -> Configuration:
        made = plain(source, peer)
        channels = [
            channel("in", "inbound", source, acknowledge="delivered"),
            made.channels["out"],
        ]
        return configuration(channels, made.routes)

    async with hospital(tmp_path, waits) as h:
        h.peer.gate.clear()
        waiting = asyncio.create_task(h.push("k x"))
        await h.until(lambda: h.peer.sending == 1)
        assert not waiting.done()
        h.peer.gate.set()
        assert (await waiting).outcome is Outcome.ACCEPTED
        h.peer.script = fails(1, RejectedError(INFO))
        refused = await h.push("k y")
        assert refused.outcome is Outcome.REJECTED
        assert refused.error == INFO
