"""File names from a template.  Pure; only fields that are never clinical, only safe characters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Final

from engine.contract import Outbound

_SAFE: Final = re.compile(r"[A-Za-z0-9._+=-]*")
_CLOCK: Final = re.compile(r"(?:%[YmdHMSfjy]|[A-Za-z0-9._-])+")
_FIELDS: Final[Mapping[str, Callable[[Outbound, str], str]]] = {
    "message_id": lambda outbound, _: outbound.message.id,
    "channel": lambda outbound, _: outbound.message.channel,
    "received": lambda outbound, clock: outbound.message.received_at.strftime(clock),
    "content": lambda outbound, _: hashlib.blake2b(
        outbound.payload.body, digest_size=8
    ).hexdigest(),
}


def check_template(template: str) -> None:
    """Raises ValueError, in words for the person who wrote it."""
    fields = set()
    for text, field, clock, conversion in Formatter().parse(template):
        if not _SAFE.fullmatch(text):
            raise ValueError("a file name here has letters, digits and . _ + = - only")
        if field is None:
            continue
        if field not in _FIELDS or conversion is not None:
            raise ValueError(f"a name is made from {', '.join(sorted(_FIELDS))} in braces")
        if field == "received" and not (clock and _CLOCK.fullmatch(clock)):
            raise ValueError("received needs a form such as {received:%Y%m%d%H%M%S}")
        if field != "received" and clock:
            raise ValueError(f"{field} has no form")
        fields.add(field)
    if not fields & {"message_id", "content"}:
        raise ValueError("a name needs {message_id} or {content}, or files would collide")
    if template.startswith("."):
        raise ValueError("a name that starts with a dot is hidden from its reader")


def file_name(template: str, outbound: Outbound) -> str:
    """The name of this delivery's file: the same for every attempt to deliver the same content."""
    return "".join(
        text + (_FIELDS[field](outbound, clock or "") if field is not None else "")
        for text, field, clock, _ in Formatter().parse(template)
    )
