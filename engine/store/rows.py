"""Values to columns and back: times, errors, keys.  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from engine.contract import (
    ChannelName,
    DeliveryId,
    ErrorInfo,
    MessageId,
    OutboxEntry,
    Payload,
    Stage,
    State,
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CONTROL_ID: Final = "#control_id"
"""The kind under which a control id is among the search keys; no channel can define it."""
KEY_LENGTH: Final = 200
"""Characters of a search key that are indexed; the rest is compared with the stored whole."""


def micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware time, exactly."""
    since = at - EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def moment(at: int) -> datetime:
    """The aware UTC time of `micros`."""
    return EPOCH + timedelta(microseconds=at)


def duration(span: timedelta) -> int:
    """Whole microseconds."""
    return span // timedelta(microseconds=1)


def storable(text: str) -> str:
    """Text that a database can encode: a lone surrogate (JSON may hold one) becomes ``?``."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def error_text(error: ErrorInfo | None) -> str | None:
    if error is None:
        return None
    try:
        return orjson.dumps(error).decode()
    except TypeError:
        return orjson.dumps({k: v and storable(v) for k, v in asdict(error).items()}).decode()


def error_of(text: str | None) -> ErrorInfo | None:
    if text is None:
        return None
    fields = orjson.loads(text)
    return ErrorInfo(**{**fields, "stage": Stage(fields["stage"])})


def object_text(values: Mapping[str, str]) -> str | None:
    """JSON, or None for nothing: most messages have no attributes."""
    if not values:
        return None
    try:
        return orjson.dumps(dict(values)).decode()
    except TypeError:
        return orjson.dumps({storable(k): storable(v) for k, v in values.items()}).decode()


def object_of(text: str | None) -> dict[str, Any]:
    return orjson.loads(text) if text else {}


def payload_of(body: bytes | None, content_type: str | None, charset: str | None) -> Payload | None:
    """None when there is no body (nothing sent, or purged)."""
    if body is None:
        return None
    return Payload(body, content_type or "application/octet-stream", charset)


def key_text(value: str) -> str:
    """A search key as it is indexed."""
    return storable(value[:KEY_LENGTH])


def dedup_digest(channel: str, key: str) -> bytes:
    """16 bytes, so that a long key costs no more than a short one and no key is readable."""
    text = f"{channel}\0{key}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def outbox_entry(row: Any) -> OutboxEntry:
    """From the columns of `engine.store.reading.OUTBOX_COLUMNS`."""
    number, message_id, route, target, channel, lane, state, attempt, next_at, maybe, *rest = row
    return OutboxEntry(
        DeliveryId(number),
        MessageId(message_id),
        route,
        target,
        ChannelName(channel),
        lane,
        State(state),
        attempt,
        None if next_at is None else moment(next_at),
        bool(maybe),
        *rest,
    )
