"""FHIR resources in JSON (HL7 FHIR R4, 2.6.2): JSON that names its resource type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from engine.contract import Document, Payload
from engine.formats.errors import format_error
from engine.formats.json import read_json, write_json

CONTENT_TYPE: Final = "application/fhir+json"


@dataclass(frozen=True, slots=True)
class FhirDocument:
    """``value`` is one resource as plain JSON; decimals are `Decimal`, with their digits."""

    value: dict[str, Any] = field(repr=False)

    @property
    def format(self) -> str:
        return "fhir"


class FhirFormat:
    """`key` is the resource type.  A Bundle has more to say: the event code (or its URI) of its
    MessageHeader when it is a message, otherwise ``Bundle/transaction``, ``Bundle/collection`` ….
    `control_id` is ``Bundle.identifier.value``, and ``id`` for everything else."""

    name: Final = "fhir"

    def parse(self, payload: Payload, *, charset: str | None = None) -> FhirDocument:
        """Raises FormatError: FHIR-RESOURCE, or what `read_json` raises."""
        value = read_json(payload.body, payload.charset or charset)
        if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
            raise format_error("FHIR-RESOURCE")
        return FhirDocument(value)

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        value = tree.value if isinstance(tree, FhirDocument) else tree
        return write_json(value, CONTENT_TYPE, charset)

    def key(self, document: Document) -> str:
        if not isinstance(document, FhirDocument):
            return ""
        resource: Any = document.value
        name = _text(resource, "resourceType")
        if name != "Bundle":
            return name
        kind = _text(resource, "type")
        if kind == "message":
            header = _first_resource(resource)
            event = _text(header.get("eventCoding"), "code") or _text(header, "eventUri")
            if event:
                return event
        return f"Bundle/{kind}" if kind else "Bundle"

    def control_id(self, document: Document) -> str:
        if not isinstance(document, FhirDocument):
            return ""
        resource = document.value
        if resource.get("resourceType") == "Bundle":
            return _text(resource.get("identifier"), "value") or _text(resource, "id")
        return _text(resource, "id")


def _text(element: Any, name: str) -> str:
    value = element.get(name) if isinstance(element, dict) else None
    return value if isinstance(value, str) else ""


def _first_resource(bundle: dict[str, Any]) -> dict[str, Any]:
    """The MessageHeader of a message: its first entry (FHIR R4 2.36.4)."""
    entries = bundle.get("entry")
    entry = entries[0] if isinstance(entries, list) and entries else None
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return resource if isinstance(resource, dict) else {}
