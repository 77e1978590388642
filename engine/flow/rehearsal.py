"""Stored messages through a new configuration: what would come out different?

Pure: nothing is sent and nothing is written.  A finding holds clinical values; it is shown to the
person who asked, and never logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from engine.config.model import Channel, Configuration, Target
from engine.contract import (
    Document,
    EngineError,
    ErrorInfo,
    MapContext,
    Message,
    MessageId,
    Payload,
    State,
)
from engine.flow.routing import Router
from engine.formats.leaves import changes, leaves
from engine.store.archive import Archived


class Outcome(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    FAILING = "newly failing"
    MENDED = "mended"  # it was dead, and now something comes out
    STILL_FAILING = "still failing"
    ADDED = "added"  # a target that this message did not go to
    GONE = "gone"  # a target that this message does not go to any more
    NOT_KEPT = "nothing to compare with"  # not sent yet, or deleted by retention


@dataclass(frozen=True, slots=True)
class Finding:
    """One target of one message.  ``changed`` is place, what was sent, what would be."""

    message: MessageId
    source: str
    route: str
    target: str
    channel: str
    """The outbound one."""
    outcome: Outcome
    error: ErrorInfo | None = None
    changed: tuple[tuple[str, str | None, str | None], ...] = field(default=(), repr=False)


class Rehearsal:
    """One configuration, prepared for many messages."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._routers: dict[str, Router] = {}

    def of(self, message: Message, archived: Sequence[Archived]) -> Iterator[Finding]:
        """What becomes of each target, the old and the new ones."""
        source = self._configuration.channels.get(message.channel)
        old = {(one.route, one.target): one for one in archived}
        if source is None or source.direction != "inbound":
            for one in archived:
                yield _finding(message, one, Outcome.GONE)
            return
        try:
            document = source.format.parse(message.payload, charset=source.charset)
            targets, refused = self._targets(message, source, document)
        except EngineError as error:
            for one in archived:
                yield _finding(message, one, Outcome.FAILING, error.info)
            return
        for place, target in targets.items():
            before = old.pop(place, None)
            yield self._compared(message, source, document, place, target, before)
        for one in old.values():
            if one.state is not State.CANCELLED:
                reason = refused.get(one.route)
                yield _finding(message, one, Outcome.FAILING if reason else Outcome.GONE, reason)

    def _targets(
        self, message: Message, source: Channel, document: Document
    ) -> tuple[dict[tuple[str, str], Target], dict[str, ErrorInfo]]:
        """The targets by route and name, and the routes whose condition fails."""
        router = self._routers.get(source.name)
        if router is None:
            router = self._routers[source.name] = Router(self._configuration, source.name)
        targets: dict[tuple[str, str], Target] = {}
        refused: dict[str, ErrorInfo] = {}
        for verdict in router.verdicts(document, _context(message, source)):
            if verdict.error is not None:
                refused[verdict.route.name] = verdict.error
            for target in verdict.targets:
                targets[verdict.route.name, target.name] = target
        return targets, refused

    def _compared(
        self,
        message: Message,
        source: Channel,
        document: Document,
        place: tuple[str, str],
        target: Target,
        before: Archived | None,
    ) -> Finding:
        dead = before is not None and before.state is State.DEAD and before.sent is None
        channel = self._configuration.channels[target.channel]
        try:
            payload = self._rendered(message, source, document, target, channel)
        except EngineError as error:
            outcome = Outcome.STILL_FAILING if dead else Outcome.FAILING
            return Finding(message.id, source.name, *place, target.channel, outcome, error.info)
        if before is None:
            return Finding(message.id, source.name, *place, target.channel, Outcome.ADDED)
        if before.sent is None:
            outcome = Outcome.MENDED if dead else Outcome.NOT_KEPT
            return Finding(message.id, source.name, *place, target.channel, outcome)
        if before.sent.body == payload.body:
            return Finding(message.id, source.name, *place, target.channel, Outcome.SAME)
        format = channel.format.name
        found = changes(leaves(before.sent, format), leaves(payload, format))
        outcome = Outcome.DIFFERENT if found else Outcome.SAME
        return Finding(message.id, source.name, *place, target.channel, outcome, None, found)

    def _rendered(
        self,
        message: Message,
        source: Channel,
        document: Document,
        target: Target,
        channel: Channel,
    ) -> Payload:
        if target.mapping is None:
            return message.payload
        context = _context(message, source, target)
        return target.mapping.render(document, context, charset=channel.charset)


def _finding(
    message: Message, one: Archived, outcome: Outcome, error: ErrorInfo | None = None
) -> Finding:
    return Finding(message.id, message.channel, one.route, one.target, one.channel, outcome, error)


def _context(message: Message, source: Channel, target: Target | None = None) -> MapContext:
    return MapContext(
        message.id,
        message.received_at,
        message.channel,
        {} if target is None else target.params,
        source.timezone,
        source.structures,
    )
