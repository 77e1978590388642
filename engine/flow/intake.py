"""From a source's bytes to a durable message and its deliveries, and back to a receipt.

`Intake.accept` is what every source of a channel is given.  It parses as little as it needs,
decides the targets, and returns only when the store has committed all of it in one transaction.
Everything that a configuration can prepare is prepared when it is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from engine.config.model import Channel, Configuration
from engine.contract import (
    ChannelName,
    Document,
    ErrorInfo,
    FormatError,
    Inbound,
    MapContext,
    MappingError,
    Message,
    MessageId,
    MessageStore,
    NewMessage,
    Outcome,
    Receipt,
    Stage,
    State,
    Stored,
    StoreError,
)
from engine.flow.cache import MessageCache
from engine.flow.counts import InboundCounts
from engine.flow.ids import MessageIds
from engine.flow.routing import Router
from engine.flow.supervision import defect
from engine.flow.validating import Validating

DELIVERED_WITHIN = timedelta(seconds=30)
"""How long a sender of an ``acknowledge: delivered`` channel waits for all targets."""

Waiting = Callable[[MessageId, int], "asyncio.Future[ErrorInfo | None]"]
"""Asks to be told when a message's deliveries are all sent (None) or one of them cannot be."""


class Intake:
    """One inbound channel.  `accept` may be called concurrently from one event loop."""

    def __init__(
        self,
        configuration: Configuration,
        channel: Channel,
        *,
        store: MessageStore,
        cache: MessageCache,
        counts: InboundCounts,
        ids: MessageIds,
        refusal: Callable[[], ErrorInfo | None],
        awaiting: Waiting,
        log: Any,
    ) -> None:
        self._configuration = configuration
        self._channel = channel
        self._store = store
        self._cache = cache
        self._counts = counts
        self._ids = ids
        self._refusal = refusal
        self._awaiting = awaiting
        self._log = log
        self._name = ChannelName(channel.name)
        self._router = Router(configuration, channel.name)
        self._index = tuple(channel.index.items())
        given = channel.validation
        self._validating = None if given is None else Validating(channel, given, Stage.RECEIVING)
        self._nothing_wanted = State.FILTERED if channel.unrouted == "ignore" else State.UNROUTED

    async def accept(self, inbound: Inbound) -> Receipt:
        """See `engine.contract.Accept`."""
        counts = self._counts
        counts.received += 1
        busy = self._refusal()
        if busy is not None:
            return self._unavailable(busy)
        message = Message(
            self._ids.next(),
            self._name,
            inbound.payload,
            inbound.received_at,
            inbound.attributes,
        )
        try:
            document = self._channel.format.parse(inbound.payload, charset=self._channel.charset)
            invalid: ErrorInfo | None = None
            if self._validating is not None:
                invalid = await self._validating.check(document)
                if invalid is not None and self._validating.rejects:
                    return await self._reject(message, inbound, invalid)
            new = self._judged(message, document, inbound)
            if invalid is not None and new.error is None:
                new = replace(new, error=invalid)
        except FormatError as error:
            return await self._reject(message, inbound, error.info)
        except Exception as error:  # supervised boundary: it must not end its sender's connection
            self._log.exception("reading failed by a defect", error_type=type(error).__name__)
            return await self._reject(message, inbound, defect(error, Stage.RECEIVING))
        if self._channel.acknowledge == "delivered" and new.deliveries:
            return await self._until_delivered(new, document)
        if new.deliveries:
            self._cache.add(message, document, len(new.deliveries))
        try:
            stored = await self._store.accept(new)
        except StoreError as error:
            return self._unavailable(error.info)
        return self._accepted(new, stored)

    def _judged(self, message: Message, document: Document, inbound: Inbound) -> NewMessage:
        channel = self._channel
        context = MapContext(
            message.id,
            message.received_at,
            self._name,
            timezone=channel.timezone,
            structures=channel.structures,
        )
        error: ErrorInfo | None = None
        keys = dict(inbound.keys)
        dedup_key, dedup_within = inbound.dedup_key, None
        try:
            for name, expression in self._index:
                value = expression.text(document, context)
                if value:
                    keys[name] = value
            if channel.duplicates is not None:
                dedup_within = channel.duplicates.within
                dedup_key = _dedup_key(
                    expression.text(document, context) for expression in channel.duplicates.key
                )
        except MappingError as failure:
            error = failure.info
        if dedup_key is not None:
            dedup_key = f"{self._name}\x1f{dedup_key}"
        plan = self._router.plan(document, context, keys)
        return NewMessage(
            message,
            State.RECEIVED if plan.deliveries else self._nothing_wanted,
            type=channel.format.key(document),
            peer=inbound.peer,
            control_id=channel.format.control_id(document),
            keys=keys,
            deliveries=plan.deliveries,
            dedup_key=dedup_key,
            dedup_within=dedup_within,
            error=error or plan.error,
            config_version=self._configuration.version,
        )

    def _accepted(self, new: NewMessage, stored: Stored) -> Receipt:
        counts = self._counts
        if stored.duplicate:
            counts.duplicates += 1
            return Receipt(Outcome.DUPLICATE, stored.message_id)
        counts.accepted += 1
        if new.error is not None:
            counts.last_error = new.error
            told = "message invalid" if new.error.code == "FLOW-INVALID" else "condition failed"
            self._log.warning(told, code=new.error.code, location=new.error.location)
        if new.state is State.UNROUTED:
            counts.unrouted += 1
            self._log.warning("message unrouted", message=stored.message_id, type=new.type)
        elif new.state is State.FILTERED:
            counts.filtered += 1
        return Receipt(Outcome.ACCEPTED, stored.message_id)

    async def _until_delivered(self, new: NewMessage, document: Document) -> Receipt:
        """Accept, then answer only when every target said yes."""
        ended = self._awaiting(new.message.id, len(new.deliveries))
        self._cache.add(new.message, document, len(new.deliveries))
        try:
            stored = await self._store.accept(new)
            receipt = self._accepted(new, stored)
            if stored.duplicate:
                return receipt
            async with asyncio.timeout(DELIVERED_WITHIN.total_seconds()):
                error = await ended
        except StoreError as failure:
            return self._unavailable(failure.info)
        except TimeoutError:
            error = _NOT_YET
        finally:
            ended.cancel()
        if error is None:
            return receipt
        outcome = Outcome.UNAVAILABLE if error is _NOT_YET else Outcome.REJECTED
        return Receipt(outcome, new.message.id, error)

    async def _reject(self, message: Message, inbound: Inbound, error: ErrorInfo) -> Receipt:
        """The sender is told, and the bytes are kept for the people who have to find out why."""
        try:
            await self._store.accept(
                NewMessage(
                    message,
                    State.REJECTED,
                    peer=inbound.peer,
                    error=error,
                    config_version=self._configuration.version,
                )
            )
        except StoreError as failure:
            return self._unavailable(failure.info)
        self._counts.rejected += 1
        self._counts.last_error = error
        self._log.warning("message rejected", message=message.id, code=error.code)
        return Receipt(Outcome.REJECTED, message.id, error)

    def _unavailable(self, error: ErrorInfo) -> Receipt:
        self._counts.unavailable += 1
        self._counts.last_error = error
        return Receipt(Outcome.UNAVAILABLE, error=error)


def _dedup_key(values: Iterable[str | None]) -> str | None:
    """None when a part is missing: such a message cannot be told apart from others."""
    parts = tuple(values)
    present = [value for value in parts if value]
    return "\x1f".join(present) if len(present) == len(parts) else None


_NOT_YET = ErrorInfo(
    "FLOW-NOT-DELIVERED",
    "not delivered to every target in time; it is stored and will be",
    Stage.SENDING,
    help="send again only to a channel with a duplicates: rule",
)
