"""How the engine's values look in JSON, and back again for the status."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
from pydantic import TypeAdapter

from engine.api.engine import Reloaded
from engine.contract import (
    DeliverySummary,
    ErrorInfo,
    MessageSummary,
    Payload,
    StoredEvent,
)
from engine.flow.status import EngineStatus
from engine.syntax.diagnostics import Diagnostic

_STATUS = TypeAdapter(EngineStatus)


def status_to_json(status: EngineStatus) -> bytes:
    """Without what each process counts by itself, which is for the metrics."""
    nodes = tuple(replace(node, channels=()) for node in status.nodes)
    return orjson.dumps(replace(status, nodes=nodes))


def status_from_json(body: bytes) -> EngineStatus:
    """Raises pydantic.ValidationError when it is no status."""
    return _STATUS.validate_json(body)


def message_to_dict(message: MessageSummary, *, keys: bool = False) -> dict[str, Any]:
    """Without the search keys, which name the patient, unless they are asked for."""
    shown: dict[str, Any] = {
        "message_id": message.message_id,
        "channel": message.channel,
        "type": message.type,
        "control_id": message.control_id,
        "state": message.state,
        "received_at": message.received_at,
        "size": message.size,
        "deliveries": [delivery_to_dict(delivery) for delivery in message.deliveries],
    }
    if keys:
        shown["keys"] = dict(message.keys)
    return shown


def delivery_to_dict(delivery: DeliverySummary) -> dict[str, Any]:
    return {
        "delivery": delivery.delivery,
        "route": delivery.route,
        "target": delivery.target,
        "channel": delivery.channel,
        "state": delivery.state,
        "attempt": delivery.attempt,
        "error": error_to_dict(delivery.error),
        "updated_at": delivery.updated_at,
    }


def event_to_dict(event: StoredEvent, *, content: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "delivery": event.delivery,
        "state": event.state,
        "at": event.at,
        "attempt": event.attempt,
        "possible_duplicate": event.possible_duplicate,
        "error": error_to_dict(event.error),
        "actor": event.actor,
        "remote_id": event.remote_id,
        "mapping_version": event.mapping_version,
        "route_version": event.route_version,
    }
    if content:
        shown["sent"] = payload_to_dict(event.sent)
        shown["reply"] = payload_to_dict(event.reply)
    return shown


def error_to_dict(error: ErrorInfo | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "summary": error.summary,
        "stage": error.stage,
        "location": error.location,
        "peer_code": error.peer_code,
        "help": error.help,
    }


def payload_to_dict(payload: Payload | None) -> dict[str, Any] | None:
    """The exact bytes as base64, and as ``text`` when they are text."""
    if payload is None:
        return None
    shown: dict[str, Any] = {
        "content_type": payload.content_type,
        "charset": payload.charset,
        "size": len(payload.body),
        "base64": base64.b64encode(payload.body).decode(),
    }
    for charset in (payload.charset, "utf-8"):
        try:
            shown["text"] = payload.body.decode(charset or "utf-8")
            break
        except (LookupError, UnicodeDecodeError):
            continue
    return shown


def reloaded_to_dict(reloaded: Reloaded) -> dict[str, Any]:
    return {
        "ok": reloaded.ok,
        "version": reloaded.version,
        "diagnostics": [diagnostic_to_dict(found) for found in reloaded.diagnostics],
        "warnings": list(reloaded.warnings),
    }


def diagnostic_to_dict(found: Diagnostic) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "message": found.message,
        "location": str(found.position),
        "help": found.help,
    }
