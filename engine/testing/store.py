"""The promises of a message store, T1 to T7.

A harness names a factory, ``module:function``, that makes the store of a folder: it is called in
this process, and in a child process that is killed while it accepts.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from engine.contract import (
    ChannelName,
    DeliveryId,
    Event,
    IllegalTransition,
    Message,
    MessageId,
    MessageStore,
    NewDelivery,
    NewMessage,
    OutboxEntry,
    Payload,
    Query,
    State,
    Stored,
    UnknownMessage,
)
from engine.testing.promises import promise

GRACE = timedelta(seconds=5)
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
INBOUND, OUTBOUND = ChannelName("his-adt"), ChannelName("emr-fhir")

PICTURE: Final[Mapping[State, str]] = {
    State.QUEUED: "sent retrying uncertain dead | cancelled",
    State.RETRYING: "queued | cancelled",
    State.UNCERTAIN: "queued | queued cancelled",
    State.DEAD: "| queued cancelled",
    State.SENT: "| queued",
    State.CANCELLED: "sent uncertain | queued",
}
"""The design's picture of a delivery, said again: the engine's steps | a person's.

CANCELLED is left for SENT when another process was sending at that moment; an unknown outcome is
only added to its history."""


@dataclass(frozen=True, slots=True)
class StoreName:
    name: str


class StoreHarness(Protocol):
    """``lacks`` names the traits (encrypted) that this store has not, and why."""

    spec: StoreName
    lacks: Mapping[str, str]
    factory: str  # "module:function"; function(folder) -> MessageStore, not opened
    folder: Path

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def stored_bytes(self) -> bytes:
        """Everything the store has on its disk.  (trait ``encrypted``)"""


def make(factory: str, folder: Path) -> MessageStore:
    """The store that ``module:function`` makes for a folder."""
    module, _, name = factory.partition(":")
    store: MessageStore = getattr(importlib.import_module(module), name)(folder)
    return store


@asynccontextmanager
async def opened(rig: StoreHarness) -> AsyncIterator[MessageStore]:
    store = make(rig.factory, rig.folder)
    await store.open()
    try:
        await store.recover()
        yield store
    finally:
        await store.close(GRACE)


def identity(number: int) -> MessageId:
    return MessageId(f"019b8d5e-{number >> 16:04x}-7000-8000-{number:012x}")


def new_message(number: int, **changes: Any) -> NewMessage:
    """The ``number``-th message: received ``number`` seconds after the start, one delivery."""
    new = NewMessage(
        Message(
            identity(number),
            INBOUND,
            Payload(b"content of %d\r\x00\xff" % number, "text/plain", "GB18030"),
            START + timedelta(seconds=number),
            {"file": f"{number}.hl7"},
        ),
        State.RECEIVED,
        type="ADT^A01",
        peer="10.0.0.1:5000",
        control_id=f"C{number}",
        keys={"patient": f"P{number % 5}", "visit": f"V{number}"},
        deliveries=(NewDelivery("admissions", "emr", OUTBOUND),),
        config_version="c0ffee",
    )
    return replace(new, **changes)


def step(stored: Stored, state: State, **changes: Any) -> Event:
    """An event of the first delivery."""
    return Event(stored.deliveries[0], stored.message_id, state, START, attempt=1, **changes)


async def whole_outbox(
    store: MessageStore, channel: ChannelName = OUTBOUND, lane: int = 0, limit: int = 7
) -> list[OutboxEntry]:
    """Read in pages, as the relay does."""
    found: list[OutboxEntry] = []
    after = 0
    while page := await store.outbox(channel, lane, after=after, limit=limit):
        assert [entry.delivery for entry in page] == sorted({entry.delivery for entry in page})
        assert page[0].delivery > after, "an entry came a second time"
        assert len(page) <= limit
        found += page
        after = page[-1].delivery
    return found


async def brought_to(store: MessageStore, stored: Stored, state: State) -> None:
    """Move a QUEUED delivery to ``state`` by its shortest way."""
    if state is State.CANCELLED:
        await store.cancel(stored.deliveries[0], actor="tester")
    elif state is not State.QUEUED:
        await store.record(step(stored, state))


async def state_of(store: MessageStore, delivery: DeliveryId, message: MessageId) -> State:
    (found,) = await store.search(Query(message_id=message))
    return next(one.state for one in found.deliveries if one.delivery == delivery)


class StoreConformance:
    """Bind it: ``class TestMyStore(StoreConformance): harness = MyHarness``."""

    harness: Callable[[Path], Any]
    kills = 3
    messages = 1500
    """Of T7; the budget holds for a million, which a benchmark shows."""
    budget = 1.0

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[StoreHarness]:
        rig: StoreHarness = type(self).harness(tmp_path)
        await rig.start()
        yield rig
        await rig.stop()

    @promise("T1", "what was accepted survives a kill")
    async def test_t1_accepted_survives_a_kill(self, rig: StoreHarness) -> None:
        known: dict[MessageId, DeliveryId] = {}
        for kill in range(self.kills):
            acknowledged = await _killed_while_accepting(rig, first=kill * 10**6)
            assert acknowledged, "the child accepted nothing"
            known.update(acknowledged)
            async with opened(rig) as store:
                waiting = {
                    entry.message_id: entry for entry in await whole_outbox(store, limit=500)
                }
                lost = known.keys() - waiting.keys()
                assert not lost, f"{len(lost)} of {len(known)} acknowledged messages are gone"
                for message_id, delivery in known.items():
                    entry = waiting[message_id]
                    assert entry.delivery == delivery
                    assert entry.possible_duplicate, "a copy may have been sent before the kill"
                for message_id in acknowledged:
                    message = await store.load(message_id)
                    number = int(message_id.replace("-", "")[-12:], 16)
                    assert message == new_message(number).message

    @promise("T2", "duplicates that come at once have one winner")
    async def test_t2_duplicates_have_one_winner(self, rig: StoreHarness) -> None:
        day = timedelta(days=1)

        def copy(number: int, key: str, **changes: Any) -> NewMessage:
            return new_message(number, dedup_key=key, dedup_within=day, **changes)

        async with opened(rig) as store:
            copies = [copy(number, f"key {number % 3}") for number in range(30)]
            answers = await asyncio.gather(*[store.accept(one) for one in copies])
            for key in range(3):
                same = answers[key::3]
                winners = [answer for answer in same if not answer.duplicate]
                assert len(winners) == 1, f"{len(winners)} copies were accepted as the first"
                assert {answer.message_id for answer in same} == {winners[0].message_id}
            assert len(await whole_outbox(store)) == 3
            assert len(await store.search(Query())) == 3
            again = await store.accept(copy(100, "key 0"))
            assert again.duplicate
            assert again.deliveries == ()
        async with opened(rig) as store:
            assert (await store.accept(copy(101, "key 0"))).duplicate, "forgotten by a restart"
            other = new_message(102).message
            elsewhere = replace(other, channel=ChannelName("lis-oru"))
            assert not (await store.accept(copy(102, "key 0", message=elsewhere))).duplicate
            late = copy(2 * 86_400, "key 0")
            assert not (await store.accept(late)).duplicate, "the window is over"

    @promise("T3", "steps that are not in the picture are refused, and harm nobody else")
    async def test_t3_illegal_steps_are_refused(self, rig: StoreHarness) -> None:
        async with opened(rig) as store:
            numbers = iter(range(10**6))
            for start, allowed in PICTURE.items():
                engine, _, person = allowed.partition("|")
                for target in State:
                    stored = await store.accept(new_message(next(numbers)))
                    await brought_to(store, stored, start)
                    legal = target.value in engine.split()
                    await self._try(store, stored, start, target, legal, next(numbers))
                for target, act in ((State.QUEUED, store.replay), (State.CANCELLED, store.cancel)):
                    stored = await store.accept(new_message(next(numbers)))
                    await brought_to(store, stored, start)
                    if target.value in person.split():
                        await act(stored.deliveries[0], actor="tester")
                        reached = target
                    else:
                        with pytest.raises(IllegalTransition):
                            await act(stored.deliveries[0], actor="tester")
                        reached = start
                    found = await state_of(store, stored.deliveries[0], stored.message_id)
                    assert found is reached
            with pytest.raises(UnknownMessage):
                await store.record(replace(step(stored, State.SENT), delivery=DeliveryId(10**9)))
            with pytest.raises(UnknownMessage):
                await store.replay(DeliveryId(10**9), actor="tester")

    async def _try(
        self,
        store: MessageStore,
        stored: Stored,
        start: State,
        target: State,
        legal: bool,
        bystander: int,
    ) -> None:
        other = await store.accept(new_message(bystander))
        before = len(await store.history(stored.message_id))
        outcome, fine = await asyncio.gather(
            store.record(step(stored, target)),
            store.record(step(other, State.SENT)),
            return_exceptions=True,
        )
        assert fine is None, "an illegal step spoiled another one"
        delivery, message = stored.deliveries[0], stored.message_id
        assert await state_of(store, other.deliveries[0], other.message_id) is State.SENT
        after = len(await store.history(message))
        if legal:
            assert outcome is None, f"{start} → {target} was refused: {outcome!r}"
            noted = (start, target) == (State.CANCELLED, State.UNCERTAIN)
            assert await state_of(store, delivery, message) is (start if noted else target)
            assert after == before + 1
        else:
            assert isinstance(outcome, IllegalTransition), f"{start} → {target} was not refused"
            assert await state_of(store, delivery, message) is start
            assert after == before, "a refused step left an event"

    @promise("T4", "outbox rows appear and vanish exactly once")
    async def test_t4_outbox_rows_appear_and_vanish_once(self, rig: StoreHarness) -> None:
        targets = (
            NewDelivery("a", "emr", OUTBOUND),
            NewDelivery("a", "ward", ChannelName("ward-oru"), lane=3),
        )
        told: list[tuple[NewMessage, Stored]] = []
        async with opened(rig) as store:
            store.subscribe(told.extend)

            async def accept(number: int) -> Stored:
                stored = await store.accept(new_message(number, deliveries=targets))
                assert any(one is stored or one == stored for _, one in told), "told too late"
                return stored

            accepted = await asyncio.gather(*[accept(number) for number in range(20)])
            ids = [delivery for stored in accepted for delivery in stored.deliveries]
            assert sorted(set(ids)) == sorted(ids)
            assert [id for _, one in told for id in one.deliveries] == sorted(ids)
            entries = await whole_outbox(store)
            assert [entry.delivery for entry in entries] == sorted(
                stored.deliveries[0] for stored in accepted
            )
            assert len(await whole_outbox(store, ChannelName("ward-oru"), lane=3)) == 20
            assert await store.outbox(OUTBOUND, 3, after=0, limit=9) == []
            later = START + timedelta(hours=1)
            await store.record(step(accepted[0], State.SENT))
            await store.record(step(accepted[1], State.DEAD))
            await store.cancel(accepted[2].deliveries[0], actor="tester")
            await store.record(step(accepted[3], State.RETRYING, next_at=later))
            await store.record(step(accepted[4], State.UNCERTAIN))
        async with opened(rig) as store:
            gone = {stored.deliveries[0] for stored in accepted[:3]}
            kept = [stored.deliveries[0] for stored in accepted[3:]]
            entries = await whole_outbox(store)
            assert [entry.delivery for entry in entries] == kept
            assert entries[0].state is State.RETRYING
            assert entries[0].next_at == later
            assert entries[1].state is State.UNCERTAIN
            assert entries[1].possible_duplicate, "the peer may have it"
            await store.record(step(accepted[4], State.QUEUED))
            entry = await store.delivery(accepted[4].deliveries[0])
            assert entry is not None
            assert entry.possible_duplicate, "forgotten by the next step"
            for delivery in gone:
                assert await store.delivery(delivery) is None
            assert await store.delivery(kept[0]) == entries[0]
            for stored in accepted[:3]:
                again = await store.replay(stored.deliveries[0], actor="tester")
                assert again.state is State.QUEUED
                assert again.attempt == 0
                assert await store.delivery(stored.deliveries[0]) == again
            assert len(await whole_outbox(store)) == 20

    @promise("T5", "deleting content keeps what happened")
    async def test_t5_deleting_content_keeps_what_happened(self, rig: StoreHarness) -> None:
        async with opened(rig) as store:
            done, waiting, young = [
                await store.accept(new_message(number)) for number in (1, 2, 3600)
            ]
            sent = step(done, State.SENT, sent=Payload(b"mapped"), reply=Payload(b"yes"))
            await store.record(sent)
            await store.record(step(young, State.SENT))
            limit = START + timedelta(minutes=30)
            before = await store.history(done.message_id)
            assert (await store.history(done.message_id, content=True))[-1].sent == sent.sent
            summary = await store.search(Query(control_id="C1"))
            assert await store.purge(limit, content_only=True) == 1
            assert await store.purge(limit, content_only=True) == 0
            with pytest.raises(UnknownMessage):
                await store.load(done.message_id)
            with pytest.raises(UnknownMessage):
                await store.replay(done.deliveries[0], actor="tester")
            assert await store.history(done.message_id, content=True) == before
            assert await store.search(Query(control_id="C1")) == summary
            assert await store.search(Query(keys={"visit": "V1"})) == summary
            for kept in (waiting, young):
                assert (await store.load(kept.message_id)).id == kept.message_id
            assert await store.purge(limit, content_only=False) == 1
            assert await store.search(Query(control_id="C1")) == []
            with pytest.raises(UnknownMessage):
                await store.history(done.message_id)
            assert len(await store.search(Query())) == 2
            assert len(await whole_outbox(store)) == 1

    @promise("T6", "what is stored cannot be read without the key", needs=("encrypted",))
    async def test_t6_nothing_is_readable_without_the_key(self, rig: StoreHarness) -> None:
        async with opened(rig) as store:
            await store.accept(new_message(4711))
        raw = await rig.stored_bytes()
        for secret in (b"content of 4711", b"V4711"):
            assert secret not in raw

    @promise("T7", "a search finds exactly what it should, newest first, within its budget")
    async def test_t7_search_within_budget(self, rig: StoreHarness) -> None:
        states = (State.RECEIVED, State.RECEIVED, State.UNROUTED)
        news = [
            new_message(
                number,
                type=("ADT^A01", "ORU^R01")[number % 2],
                state=states[number % 3],
                deliveries=() if number % 3 == 2 else (NewDelivery("r", "t", OUTBOUND),),
            )
            for number in range(self.messages)
        ]
        async with opened(rig) as store:
            stored: list[Stored] = []
            for start in range(0, len(news), 300):
                part = news[start : start + 300]
                stored += await asyncio.gather(*[store.accept(new) for new in part])
            await store.record_all([step(one, State.DEAD) for one in stored[::7] if one.deliveries])
            dead = {one.message_id for one in stored[::7] if one.deliveries}
            for query in _queries(self.messages):
                expected = [new.message.id for new in reversed(news) if _matches(query, new, dead)]
                began = time.perf_counter()
                found = [one.message_id for one in await store.search(query)]
                took = time.perf_counter() - began
                assert found == expected[: query.limit], f"{query!r} finds something else"
                assert took < self.budget, f"{query!r} took {took:.2f} s"


def _queries(messages: int) -> Iterable[Query]:
    middle = START + timedelta(seconds=messages // 2)
    yield Query()
    yield Query(keys={"patient": "P3"}, limit=5)
    yield Query(keys={"patient": "P3", "visit": "V8"})
    yield Query(keys={"visit": "V9"}, type="ADT^A01")
    yield Query(keys={"patient": "nobody"})
    yield Query(control_id="C17")
    yield Query(channel=INBOUND, limit=3)
    yield Query(channel=OUTBOUND, limit=3)
    yield Query(channel=OUTBOUND, state=State.DEAD, limit=500)
    yield Query(type="ORU^R01", limit=4)
    yield Query(state=State.UNROUTED, limit=4)
    yield Query(state=State.DEAD, limit=500)
    yield Query(state=State.QUEUED, limit=4)
    yield Query(since=middle, until=middle + timedelta(seconds=10))
    yield Query(until=middle, limit=2)
    yield Query(before=identity(20), limit=30)
    yield Query(before=identity(messages - 10), keys={"patient": "P1"}, limit=30)
    yield Query(message_id=identity(12))
    yield Query(message_id=identity(12), type="ORU^R01")
    yield Query(keys={"patient": "P2"}, state=State.DEAD, channel=INBOUND, limit=500)


def _matches(query: Query, new: NewMessage, dead: set[MessageId]) -> bool:
    """What a query means, without any index."""
    states = {new.state}
    if new.deliveries:
        states.add(State.DEAD if new.message.id in dead else State.QUEUED)
    channels = {new.message.channel, *(target.channel for target in new.deliveries)}
    at = new.message.received_at
    return (
        (query.message_id is None or query.message_id == new.message.id)
        and (query.channel is None or query.channel in channels)
        and (query.state is None or query.state in states)
        and (query.type is None or query.type == new.type)
        and (query.control_id is None or query.control_id == new.control_id)
        and all(new.keys.get(kind) == value for kind, value in query.keys.items())
        and (query.since is None or at >= query.since)
        and (query.until is None or at < query.until)
        and (query.before is None or new.message.id < query.before)
    )


async def _killed_while_accepting(
    rig: StoreHarness, *, first: int, after: int = 150
) -> Mapping[MessageId, DeliveryId]:
    """Run a child that accepts as fast as it can, kill it after ``after`` acknowledgements; returns
    what it had acknowledged."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine.testing.store",
        rig.factory,
        str(rig.folder),
        str(first),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(30):
        async for line in child.stdout:
            lines.append(line)
            if len(lines) == after:
                child.kill()
        await child.wait()
    whole: Sequence[list[bytes]] = [line.split() for line in lines if line.endswith(b"\n")]
    return {MessageId(id.decode()): DeliveryId(int(number)) for id, number in whole}


async def _accept_for_ever(factory: str, folder: str, first: str) -> None:
    """The child: eight waiters; each acknowledgement is a line, written before the next accept."""
    store = make(factory, Path(folder))
    await store.open()
    await store.recover()
    numbers = iter(range(int(first), int(first) + 10**6))

    async def accept() -> None:
        for number in numbers:
            stored = await store.accept(new_message(number))
            sys.stdout.write(f"{stored.message_id} {[*stored.deliveries, 0][0]}\n")
            sys.stdout.flush()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(accept())


if __name__ == "__main__":
    asyncio.run(_accept_for_ever(*sys.argv[1:]))
