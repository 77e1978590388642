"""An envelope as bytes: ids, and the names of its route and target; never content."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from engine.contract import DeliveryId, Envelope, MessageId

CONTENT_TYPE = "application/json"


def write(envelope: Envelope, *, dead_for: str | None = None) -> bytes:
    """``dead_for``: the code of the error for which it is set aside."""
    body: dict[str, object] = {
        "delivery": envelope.delivery,
        "message": envelope.message_id,
        "route": envelope.route,
        "target": envelope.target,
        "attempt": envelope.attempt,
    }
    if envelope.not_before is not None:
        body["not_before"] = envelope.not_before.timestamp()
    if envelope.possible_duplicate:
        body["possible_duplicate"] = True
    if envelope.redelivered:
        body["redelivered"] = True
    if dead_for is not None:
        body["error"] = dead_for
    return orjson.dumps(body)


def read(body: bytes, *, redelivered: bool) -> Envelope | None:
    """None when these bytes are nothing of ours."""
    try:
        value = orjson.loads(body)
        not_before = value.get("not_before")
        return Envelope(
            DeliveryId(int(value["delivery"])),
            MessageId(str(value["message"])),
            str(value["route"]),
            str(value["target"]),
            int(value["attempt"]),
            None if not_before is None else datetime.fromtimestamp(not_before, UTC),
            bool(value.get("possible_duplicate")),
            redelivered or bool(value.get("redelivered")),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None
