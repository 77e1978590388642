"""An engine that holds what a test gives it: the endpoint's other side, without a store."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.api.engine import Reloaded
from engine.contract import (
    ChannelName,
    DeliveryId,
    DeliverySummary,
    ErrorInfo,
    IllegalTransition,
    Message,
    MessageId,
    MessageSummary,
    Payload,
    Query,
    Stage,
    State,
    StoredEvent,
    StoreUnavailable,
    UnknownMessage,
)
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BODY = "MSH|^~\\&|HIS\rPID|||77||张^伟\r".encode("gb18030")

READY = EngineStatus(
    NOW,
    "abc123",
    True,
    (
        ChannelStatus(
            "his-adt", "HIS", "inbound", "mllp", ChannelState.RUNNING, NOW, received=3, accepted=3
        ),
        ChannelStatus("emr-fhir", "EMR", "outbound", "fhir", ChannelState.RUNNING, NOW, sent=2),
    ),
)


def message_id(number: int) -> MessageId:
    return MessageId(str(uuid.UUID(int=(0x0192 << 112) + number)))


class ScriptedEngine:
    """Also its own store: only what the endpoint calls."""

    def __init__(self) -> None:
        self.messages: list[MessageSummary] = []  # oldest first
        self.current = READY
        self.done: list[tuple[str, int, str]] = []
        self.queries: list[Query] = []
        self.purged = False
        self.down = False
        self.channels = {"his-adt": "his-adt"}
        self.switched: list[tuple[str, str]] = []
        self.reasons: list[str] = []
        self.reloaded = Reloaded(True, "def456")

    @property
    def store(self) -> Any:
        return self

    async def overview(self) -> EngineStatus:
        return self.current

    def add(self, state: State, *, deliveries: int = 1, channel: str = "emr-fhir") -> MessageId:
        number = len(self.messages) + 1
        error = ErrorInfo("R201", "code not in table", Stage.MAPPING)
        summary = MessageSummary(
            message_id(number),
            ChannelName("his-adt"),
            "ADT^A01",
            f"C{number}",
            State.RECEIVED,
            NOW + timedelta(seconds=number),
            len(BODY),
            tuple(
                DeliverySummary(
                    DeliveryId(number * 10 + index),
                    "admissions",
                    "emr",
                    ChannelName(channel),
                    state,
                    1,
                    error if state is State.DEAD else None,
                    NOW,
                )
                for index in range(deliveries)
            ),
            {"patient": "77"},
        )
        self.messages.append(summary)
        return summary.message_id

    async def search(self, query: Query) -> Sequence[MessageSummary]:
        self.queries.append(query)
        if self.down:
            raise StoreUnavailable(ErrorInfo("STORE-FULL", "the disk is full", Stage.STORING))
        found = [
            message
            for message in reversed(self.messages)
            if query.message_id in (None, message.message_id)
            and (query.before is None or message.message_id < query.before)
            and (
                query.state in (None, message.state)
                or any(d.state == query.state for d in message.deliveries)
            )
            and all(message.keys.get(key) == value for key, value in query.keys.items())
        ]
        return found[: query.limit]

    async def history(self, wanted: MessageId, *, content: bool = False) -> Sequence[StoredEvent]:
        sent = Payload(b'{"resourceType":"Bundle"}', "application/fhir+json") if content else None
        return [
            StoredEvent(None, State.RECEIVED, NOW, 0, False, None, "engine", None, "", "r1"),
            StoredEvent(
                DeliveryId(10), State.SENT, NOW, 1, True, None, "engine", "P1", "m1", "r1", sent
            ),
        ]

    async def load(self, wanted: MessageId) -> Message:
        if self.purged:
            raise UnknownMessage(ErrorInfo("STORE-GONE", "purged", Stage.STORING))
        payload = Payload(BODY, "x-application/hl7-v2+er7", "gb18030")
        return Message(wanted, ChannelName("his-adt"), payload, NOW)

    async def replay(self, delivery: DeliveryId, *, actor: str) -> None:
        self._move("replay", delivery, State.QUEUED, actor, (State.DEAD, State.SENT))

    async def reroute(self, wanted: MessageId, *, actor: str) -> None:
        for index, message in enumerate(self.messages):
            if message.message_id == wanted:
                self.messages[index] = replace(message, state=State.RECEIVED)
                self.done.append(("reroute", index + 1, actor))

    async def cancel(self, delivery: DeliveryId, *, actor: str) -> None:
        self._move("cancel", delivery, State.CANCELLED, actor, (State.DEAD, State.QUEUED))

    async def stop_channel(self, name: str, *, actor: str, reason: str = "") -> None:
        self.reasons.append(reason)
        self.switched.append(("stop", self.channels[name]))

    async def start_channel(self, name: str) -> None:
        self.switched.append(("start", self.channels[name]))

    async def reload(self, actor: str) -> Reloaded:
        self.done.append(("reload", 0, actor))
        return self.reloaded

    def _move(
        self, what: str, delivery: int, state: State, actor: str, allowed: Sequence[State]
    ) -> None:
        for index, message in enumerate(self.messages):
            for position, one in enumerate(message.deliveries):
                if one.delivery == delivery:
                    if one.state not in allowed:
                        raise IllegalTransition(
                            ErrorInfo("STORE-STEP", f"{one.state} cannot {what}", Stage.STORING)
                        )
                    moved = list(message.deliveries)
                    moved[position] = replace(one, state=state)
                    self.messages[index] = replace(message, deliveries=tuple(moved))
                    self.done.append((what, delivery, actor))
                    return
        raise UnknownMessage(ErrorInfo("STORE-NONE", "no such delivery", Stage.STORING))
