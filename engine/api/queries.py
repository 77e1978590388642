"""Searches as a request says them: texts in, a checked `Query` out."""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.api.problem import Problem
from engine.contract import DeliveryId, MessageId, Query, State

LARGEST_LIMIT: Final = 1000
KEYS: Final = ("patient", "visit", "order", "origin")

_LONGEST: Final = 200


def read_query(given: Mapping[str, str]) -> Query:
    """Every parameter is optional; an empty one counts as not given.  Raises Problem (400, P013)
    for an unknown parameter or a wrong value."""
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    for name, text in given.items():
        if not text:
            continue
        if len(text) > _LONGEST:
            raise _wrong(name, "is too long", f"at most {_LONGEST} characters")
        if name in KEYS:
            keys[name] = text
        elif name in _READERS:
            values[name] = _READERS[name](name, text)
        else:
            known = (*_READERS, *KEYS)
            near = difflib.get_close_matches(name, known, n=1)
            raise _wrong(
                name,
                "is not known",
                f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}",
            )
    return Query(**values, keys=keys)


def read_message_id(text: str) -> MessageId:
    """Raises Problem (404, P014) for what cannot be an id."""
    try:
        return MessageId(str(uuid.UUID(text)))
    except ValueError as error:
        raise _no_such("message") from error


def read_delivery_id(text: str) -> DeliveryId:
    """Raises Problem (404, P014) for what cannot be an id."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _no_such("delivery")
    return DeliveryId(int(text))


def no_such_message() -> Problem:
    return _no_such("message")


def _no_such(what: str) -> Problem:
    return Problem(404, "P014", f"there is no such {what}", "find its id with carebus messages")


def _text(name: str, text: str) -> str:
    return text


def _state(name: str, text: str) -> State:
    try:
        return State(text)
    except ValueError as error:
        raise _wrong(name, "is not a state", f"states are {', '.join(State)}") from error


def _time(name: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise _wrong(name, "is not a time", "write 2026-01-31T08:00:00+08:00") from error
    if time.tzinfo is None:
        raise _wrong(name, "has no zone", "write 2026-01-31T08:00:00+08:00, or end it with Z")
    return time.astimezone(UTC)


def _limit(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_LIMIT):
        raise _wrong(name, "is not a number of messages", f"from 1 to {LARGEST_LIMIT}")
    return int(text)


def _id(name: str, text: str) -> MessageId:
    try:
        return read_message_id(text)
    except Problem as error:
        raise _wrong(name, "is not a message id", "give the id of the last message") from error


_READERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "channel": _text,
    "state": _state,
    "type": _text,
    "control_id": _text,
    "since": _time,
    "until": _time,
    "limit": _limit,
    "before": _id,
}


def _wrong(name: str, what: str, help: str) -> Problem:
    # The name came with the request; a strange one is not repeated.
    shown = name if name.isidentifier() and len(name) < 40 else "a parameter"
    return Problem(400, "P013", f"{shown} {what}", help)
