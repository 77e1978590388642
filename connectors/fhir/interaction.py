"""Which request a FHIR payload becomes (FHIR R4, RESTful API 3.1.0).

Pure.  Most payloads are Bundles written by a mapping, whose first two members say all that is
needed: they are looked at in place, without parsing kilobytes of JSON that were written a moment
ago.  Everything else is parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson

_BUNDLE: Final = re.compile(
    rb'\s*\{\s*"resourceType"\s*:\s*"Bundle"\s*,\s*"type"\s*:\s*"([a-z-]{1,40})"'
)
_RESOURCE: Final = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Z][A-Za-z]{1,60})"')
_TYPE: Final = re.compile(r"^[A-Z][A-Za-z]{1,60}$")
_ID: Final = re.compile(r"^[A-Za-z0-9.-]{1,64}$")


@dataclass(frozen=True, slots=True)
class Request:
    """``target`` is relative to the base: empty, or begins with a slash."""

    method: str
    target: str = ""
    condition: str | None = None  # If-None-Exist
    bundle: str | None = None  # the Bundle's type, for reading the answer


class UnfitPayload(Exception):
    """The text says what is missing, and holds no value of the payload."""


_TRANSACTION: Final = Request("POST", bundle="transaction")
_BATCH: Final = Request("POST", bundle="batch")
_MESSAGE: Final = Request("POST", "/$process-message", bundle="message")


def request_for(
    body: bytes, interaction: str, *, identifier_system: str | None = None, messages: bool = True
) -> Request:
    """The request for a payload.  Raises UnfitPayload."""
    match = _BUNDLE.match(body)
    if match is not None:
        kind = match[1]
        if kind == b"transaction":
            return _TRANSACTION
        if kind == b"batch":
            return _BATCH
        if kind == b"message" and messages:
            return _MESSAGE
        return _resource_request("Bundle", body, interaction, identifier_system)
    match = _RESOURCE.match(body)
    if match is not None and match[1] != b"Bundle":
        return _resource_request(match[1].decode("ascii"), body, interaction, identifier_system)
    return _parsed_request(body, interaction, identifier_system, messages)


def _parsed_request(
    body: bytes, interaction: str, identifier_system: str | None, messages: bool
) -> Request:
    """For JSON whose members come in another order."""
    resource = _parse(body)
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or not _TYPE.match(kind):
        raise UnfitPayload("it has no resourceType")
    if kind == "Bundle":
        of = resource.get("type")
        if of == "transaction":
            return _TRANSACTION
        if of == "batch":
            return _BATCH
        if of == "message" and messages:
            return _MESSAGE
    return _resource_request(kind, body, interaction, identifier_system)


def _resource_request(
    kind: str, body: bytes, interaction: str, identifier_system: str | None
) -> Request:
    if interaction == "create":
        return Request("POST", f"/{kind}")
    resource = _parse(body)
    if interaction == "update":
        logical_id = resource.get("id")
        if not isinstance(logical_id, str) or not _ID.match(logical_id):
            raise UnfitPayload("an update needs the resource's id")
        return Request("PUT", f"/{kind}/{logical_id}")
    token = quote(_token(resource.get("identifier"), identifier_system), safe="")
    if interaction == "conditional_create":
        return Request("POST", f"/{kind}", condition=f"identifier={token}")
    return Request("PUT", f"/{kind}?identifier={token}")


def _parse(body: bytes) -> dict[str, Any]:
    try:
        resource = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnfitPayload("it is not JSON") from None
    if not isinstance(resource, dict):
        raise UnfitPayload("it is not a JSON object")
    return resource


def _token(identifiers: Any, system: str | None) -> str:
    """``system|value`` of the identifier that conditions go by, escaped for a FHIR search."""
    # A Bundle's identifier is one object, other resources have a list.
    for identifier in identifiers if isinstance(identifiers, list) else [identifiers]:
        if not isinstance(identifier, dict):
            continue
        value, of = identifier.get("value"), identifier.get("system")
        if not isinstance(value, str) or not value or (of is not None and not isinstance(of, str)):
            continue
        if system is None or of == system:
            return f"{_escape(of or '')}|{_escape(value)}" if of else _escape(value)
    raise UnfitPayload("a conditional interaction needs an identifier with a value")


def _escape(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)
