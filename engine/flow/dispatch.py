"""A worker of one lane: lease, load, map, send once, record the outcome, settle.

Strict and keyed lanes have one worker, which waits in place for a retry or a person, so that
nothing overtakes.  Where order has no meaning a lane has several, and a delivery that must wait
goes back to the queue.

A cancelled worker leaves its lease unsettled: the delivery is still unfinished in the store and
comes again.  If it was cut off in the middle of a send, the outcome is unknown and that is noted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.config.model import Channel, Route, Target
from engine.contract import (
    Delivered,
    DeliveryId,
    Destination,
    Document,
    EngineError,
    ErrorInfo,
    Event,
    FormatError,
    Lease,
    LeaseLost,
    MapContext,
    MappingError,
    Message,
    MessageId,
    MessageStore,
    NotConnected,
    Outbound,
    Payload,
    Stage,
    State,
    StoreUnavailable,
    UncertainError,
    UnknownMessage,
)
from engine.flow import outcomes
from engine.flow.cache import MessageCache
from engine.flow.counts import OutboundCounts
from engine.flow.decisions import Decisions
from engine.flow.recorder import Recorder, durable
from engine.flow.relay import Lane, Relay
from engine.flow.supervision import Connection, defect
from engine.flow.validating import Validating

PIPELINE = 64
"""Outcomes of one worker that may wait for their commit while it goes on."""

UNSURE = timedelta(milliseconds=200)
"""How long a worker waits before it asks again whether this engine was given up."""

EARLY = timedelta(seconds=1)
"""So much before its time a retry may be made."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A delivery's route and target as they are configured now, and its message's channel."""

    route: Route
    target: Target
    source: Channel


@dataclass(slots=True)
class Lanes:
    """What the workers of one outbound channel share."""

    channel: Channel
    destination: Destination
    connection: Connection
    store: MessageStore
    relay: Relay
    recorder: Recorder
    decisions: Decisions
    cache: MessageCache
    counts: OutboundCounts
    bind: Callable[[str, str, str], Bound | None]  # (route, target, source channel)
    ended: Callable[[Event], None]  # a delivery came to an end or to a halt without being sent
    log: Any
    look_again: timedelta | None = None  # another process may decide about what is held here
    validating: Validating | None = None
    in_hand: set[DeliveryId] = field(default_factory=set)  # of a worker of this process
    sending: set[DeliveryId] = field(default_factory=set)  # or sent, and not recorded yet
    decided: set[DeliveryId] = field(default_factory=set)  # look into the store before sending
    held: set[DeliveryId] = field(default_factory=set)  # a lane waits behind each of these
    cut: list[Event] = field(default_factory=list)  # what a stop kept from being recorded


@dataclass(frozen=True, slots=True)
class _Try:
    """What one attempt needs to know and to record."""

    delivery: DeliveryId
    message_id: MessageId
    attempt: int
    possible_duplicate: bool
    payload: Payload | None = None  # None: passed on byte for byte, kept once as received
    mapping_version: str = ""
    route_version: str = ""
    warning: ErrorInfo | None = None  # what validation found in the payload that is sent

    def event(self, state: State, **facts: Any) -> Event:
        return Event(
            self.delivery,
            self.message_id,
            state,
            datetime.now(UTC),
            self.attempt,
            self.possible_duplicate,
            sent=self.payload,
            mapping_version=self.mapping_version,
            route_version=self.route_version,
            **facts,
        )


class Worker:
    """`run` is one task; see the module for what cancelling it means."""

    def __init__(self, lanes: Lanes, lane: Lane) -> None:
        self._lanes = lanes
        self._lane = lane
        self._ordered = lanes.channel.ordering.kind != "none"
        self._marks = lanes.channel.on_uncertain == "hold"

    async def run(self) -> None:
        lanes = self._lanes
        async with lanes.relay.leases(self._lane, prefetch=PIPELINE) as leases:
            async for lease in leases:
                await self._deliver(lease)

    async def _deliver(self, lease: Lease) -> None:
        """Take one delivery as far as it goes: recorded, returned to the queue, or parked."""
        lanes = self._lanes
        delivery = lease.envelope.delivery
        if delivery in lanes.in_hand or delivery in lanes.sending:
            # The broker gave it twice, and whoever has it goes on.
            await _settled(lease.ack())
            return
        lanes.in_hand.add(delivery)
        try:
            await self._taken(lease)
        finally:
            lanes.in_hand.discard(delivery)
            lanes.decisions.forget(delivery)

    async def _taken(self, lease: Lease) -> None:
        lanes = self._lanes
        envelope = lease.envelope
        turn: _Try | None = _Try(
            envelope.delivery,
            envelope.message_id,
            envelope.attempt,
            envelope.possible_duplicate,
        )
        if envelope.redelivered or envelope.not_before is not None:
            lanes.decided.add(envelope.delivery)
        if envelope.not_before is not None:
            await lanes.decisions.wait(envelope.delivery, envelope.not_before - datetime.now(UTC))
        while turn is not None:
            if lease.lost:  # whoever has it now goes by the store
                return await _settled(lease.ack())
            if not lanes.store.sure:
                await lanes.decisions.wait(turn.delivery, UNSURE)
                continue
            if not lanes.connection.is_open:
                await lanes.connection.ready()
            if turn.delivery in lanes.decided or lanes.decisions.pending(turn.delivery):
                turn = await self._as_decided(turn, lease)
                continue
            turn = await self._attempt(turn, lease)

    async def _attempt(self, turn: _Try, lease: Lease) -> _Try | None:
        """One attempt.  Returns the next one, or None when this delivery is out of our hands."""
        lanes = self._lanes
        envelope = lease.envelope
        try:
            message, payload, turn = await self._prepare(turn, envelope.route, envelope.target)
        except (MappingError, FormatError, UnknownMessage) as error:
            return await self._failed(turn, lease, error)
        except StoreUnavailable as error:
            lanes.log.error("message not loaded", code=error.info.code)
            await lanes.decisions.wait(turn.delivery, timedelta(seconds=1))
            return turn
        if not self._may_send(turn) or lease.lost:
            return turn
        # A stop waits for all of this: a mark without a send would read as an unknown outcome.
        lanes.connection.begin()
        try:
            if self._marks and not await self._mark(turn, lease, turn.attempt):
                return None
            # While this was prepared, the peer may have gone away or a person decided.
            answer: Delivered | EngineError | None = None
            if self._may_send(turn) and not lease.lost:
                outbound = Outbound(
                    message,
                    payload,
                    turn.attempt,
                    turn.possible_duplicate,
                    f"{envelope.route}/{envelope.target}",
                )
                answer = await self._send(turn, outbound)
            if isinstance(answer, NotConnected):
                lanes.connection.lost(answer.info)
                lanes.counts.last_error = answer.info
                lanes.sending.discard(turn.delivery)
            if answer is None or isinstance(answer, NotConnected):
                if self._marks and not await self._mark(turn, lease, 0):
                    return None
                return turn
        finally:
            lanes.connection.end()
        lanes.connection.answered()
        if isinstance(answer, EngineError):
            return await self._failed(turn, lease, answer)
        event = turn.event(
            State.SENT, reply=answer.reply, remote_id=answer.remote_id, error=turn.warning
        )
        lanes.recorder.add(event, lease, self._lane)
        lanes.cache.used(turn.message_id)
        return None

    def _may_send(self, turn: _Try) -> bool:
        """Whether the peer is there, and no person decided since this was looked up."""
        lanes = self._lanes
        decided = turn.delivery in lanes.decided or lanes.decisions.pending(turn.delivery)
        return lanes.connection.is_open and not decided and lanes.store.sure

    async def _send(self, turn: _Try, outbound: Outbound) -> Delivered | EngineError:
        """Offer it to the peer once; how that ended, as a value.  The delivery counts as being
        sent until that is recorded, so that nobody cancels what the peer may have."""
        lanes = self._lanes
        lanes.sending.add(turn.delivery)
        try:
            return await lanes.destination.send(outbound)
        except EngineError as error:
            return error
        except Exception as error:  # supervised boundary: a connector's defect, outcome unknown
            lanes.log.exception("sending failed by a defect", error_type=type(error).__name__)
            return UncertainError(defect(error, Stage.SENDING))
        except BaseException:
            # Cut off by a stop: the peer may have it.  Recorded by who stops us.
            lanes.cut.append(turn.event(State.UNCERTAIN, error=_INTERRUPTED))
            lanes.sending.discard(turn.delivery)
            raise

    async def _mark(self, turn: _Try, lease: Lease, attempt: int) -> bool:
        """Set (or with 0 take away) the attempt mark; False when the delivery is finished."""
        store = self._lanes.store
        if await durable(lambda: store.begin(turn.delivery, attempt), self._lanes.log):
            return True
        await self._release(turn, lease)
        return False

    async def _prepare(self, turn: _Try, route: str, target: str) -> tuple[Message, Payload, _Try]:
        """Load and map with what is configured now.  A deployed correction of a mapping applies
        to everything that still waits."""
        lanes = self._lanes
        document: Document | None = None
        cached = lanes.cache.get(turn.message_id)
        if cached is not None:
            message, document = cached.message, cached.document
        else:
            message = await lanes.store.load(turn.message_id)
        bound = lanes.bind(route, target, message.channel)
        if bound is None:
            raise MappingError(_UNBOUND)
        mapping = bound.target.mapping
        if mapping is None:
            return message, message.payload, replace(turn, route_version=bound.route.version)
        source = bound.source
        if document is None:
            document = source.format.parse(message.payload, charset=source.charset)
        try:
            payload = mapping.render(
                document,
                MapContext(
                    message.id,
                    message.received_at,
                    message.channel,
                    bound.target.params,
                    source.timezone,
                    source.structures,
                ),
                charset=lanes.channel.charset,
            )
        except EngineError:
            raise
        except Exception as error:  # supervised boundary: a mapping function's defect
            lanes.log.exception("mapping failed by a defect", error_type=type(error).__name__)
            raise MappingError(defect(error, Stage.MAPPING)) from error
        warning: ErrorInfo | None = None
        if lanes.validating is not None:
            warning = await lanes.validating.check_payload(payload)
            if warning is not None and lanes.validating.rejects:
                raise MappingError(warning)
        return (
            message,
            payload,
            _Try(
                turn.delivery,
                turn.message_id,
                turn.attempt,
                turn.possible_duplicate,
                payload,
                mapping.version,
                bound.route.version,
                warning,
            ),
        )

    async def _failed(self, turn: _Try, lease: Lease, error: EngineError) -> _Try | None:
        """Record what went wrong and do what `outcomes` says."""
        lanes = self._lanes
        lanes.counts.last_error = error.info
        channel = lanes.channel
        step = outcomes.after(
            error,
            attempt=turn.attempt,
            policy=channel.retry,
            on_uncertain=channel.on_uncertain,
            spread=random.random(),  # noqa: S311  (jitter, no secret)
        )
        match step:
            case outcomes.Bury() | outcomes.Reopen():
                await self._bury(turn, lease, error.info)
                return None
            case outcomes.Again(wait, uncertain):
                return await self._again(turn, lease, error.info, wait, uncertain)
            case outcomes.Hold():
                return await self._hold(turn, lease, error.info)

    async def _bury(self, turn: _Try, lease: Lease, error: ErrorInfo) -> None:
        lanes = self._lanes
        event = turn.event(State.DEAD, error=error)
        if await self._record(event):
            lanes.ended(event)
            lanes.log.warning(
                "delivery dead", delivery=turn.delivery, code=error.code, location=error.location
            )
        await _settled(lease.park(error))
        lanes.relay.finished(self._lane, turn.delivery)

    async def _again(
        self, turn: _Try, lease: Lease, error: ErrorInfo, wait: timedelta, uncertain: bool
    ) -> _Try | None:
        lanes = self._lanes
        state = State.UNCERTAIN if uncertain else State.RETRYING
        event = turn.event(state, error=error, next_at=datetime.now(UTC) + wait)
        if not await self._record(event):
            await self._release(turn, lease)
            return None
        lanes.counts.retried += 1
        if not self._ordered:
            await _settled(lease.retry(wait, possible_duplicate=uncertain))
            return None
        await lanes.decisions.wait(turn.delivery, wait)
        lanes.decided.add(turn.delivery)
        return replace(turn, possible_duplicate=turn.possible_duplicate or uncertain)

    async def _hold(self, turn: _Try, lease: Lease, error: ErrorInfo) -> _Try | None:
        lanes = self._lanes
        event = turn.event(State.UNCERTAIN, error=error)
        if not await self._record(event):
            await self._release(turn, lease)
            return None
        lanes.ended(event)
        lanes.log.warning("delivery held: outcome unknown", delivery=turn.delivery, code=error.code)
        return await self._until_decided(turn, lease, error)

    async def _until_decided(self, turn: _Try, lease: Lease, error: ErrorInfo) -> _Try | None:
        """In an ordered lane all wait behind a held delivery; elsewhere it is set aside, and a
        person's replay brings it back through the outbox."""
        lanes = self._lanes
        if not self._ordered:
            await _settled(lease.park(error))
            lanes.relay.finished(self._lane, turn.delivery)
            return None
        lanes.held.add(turn.delivery)
        try:
            await lanes.decisions.wait(turn.delivery, lanes.look_again)
        finally:
            lanes.held.discard(turn.delivery)
        lanes.decided.add(turn.delivery)
        return turn

    async def _as_decided(self, turn: _Try, lease: Lease) -> _Try | None:
        """Go by what the store says: of a delivery that waited, that a person touched, or that
        was in other hands before."""
        lanes = self._lanes
        await lanes.decisions.taken(turn.delivery)
        lanes.decided.discard(turn.delivery)
        try:
            entry = await lanes.store.delivery(turn.delivery)
        except StoreUnavailable as error:
            lanes.log.error("delivery not looked up", code=error.info.code)
            lanes.decided.add(turn.delivery)
            await lanes.decisions.wait(turn.delivery, timedelta(seconds=1))
            return turn
        if turn.delivery in lanes.decided:  # a person decided while it was looked up
            return turn
        if entry is None:
            await self._release(turn, lease)
            return None
        if entry.state is State.RETRYING and entry.next_at is not None:
            early = entry.next_at - datetime.now(UTC)
            if early > EARLY and not self._ordered:
                # What the broker gave back was not the copy that waits.
                await _settled(lease.retry(early))
                return None
            if early > EARLY:  # nobody wants it now
                await lanes.decisions.wait(turn.delivery, early)
                lanes.decided.add(turn.delivery)
                return turn
        uncertain = entry.state is State.UNCERTAIN
        if entry.begun and entry.state is State.QUEUED and self._marks:
            return await self._hold(replace(turn, attempt=entry.begun), lease, _ABANDONED)
        if uncertain and self._marks:
            return await self._until_decided(turn, lease, _HELD)
        turn = _Try(
            turn.delivery,
            turn.message_id,
            entry.attempt + 1,
            turn.possible_duplicate or entry.possible_duplicate or uncertain,
        )
        queued = replace(turn, attempt=entry.attempt).event(State.QUEUED)
        if entry.state is State.QUEUED or await self._record(queued):
            return turn
        await self._release(turn, lease)
        return None

    async def _record(self, event: Event) -> bool:
        lanes = self._lanes
        try:
            return await durable(lambda: lanes.store.record(event), lanes.log)
        except asyncio.CancelledError:
            if event.state is not State.QUEUED:
                lanes.cut.append(event)  # an outcome: whoever stops us records it
            raise
        finally:
            lanes.sending.discard(event.delivery)

    async def _release(self, turn: _Try, lease: Lease) -> None:
        """The delivery is finished elsewhere: nothing more to do here."""
        await _settled(lease.ack())
        self._lanes.relay.finished(self._lane, turn.delivery)


async def _settled(settling: Awaitable[None]) -> None:
    """A lease that the broker took back needs no settling: its envelope comes again, and the store
    says then what became of the delivery."""
    with suppress(LeaseLost):
        await settling


_INTERRUPTED = ErrorInfo(
    "FLOW-INTERRUPTED",
    "the engine was stopped during this send",
    Stage.SENDING,
    help="the peer may have the message: look there before you replay it",
)
_ABANDONED = ErrorInfo(
    "FLOW-ABANDONED",
    "whoever was sending this is gone, and nobody recorded how it ended",
    Stage.SENDING,
    help="the peer may have the message: look there before you replay it",
)
_HELD = ErrorInfo(
    "FLOW-HELD",
    "held since its outcome is unknown",
    Stage.SENDING,
    help="replay it, or cancel it when the peer has it",
)
_UNBOUND = ErrorInfo(
    "FLOW-UNBOUND",
    "the route, target or channel of this delivery is no longer configured",
    Stage.ROUTING,
    help="configure it again and replay, or cancel the delivery",
)
