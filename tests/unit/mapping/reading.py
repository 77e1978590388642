"""Short ways to compile and run what a test writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.contract import Document, MapContext, MessageId
from engine.formats import FhirDocument, JsonDocument
from engine.formats.hl7v2 import parse
from engine.mapping import CompiledMapping, Expression, compile_expression, compile_mapping
from engine.syntax import Diagnostics, Position, Scalar, read_yaml

CONTEXT = MapContext(
    MessageId("0190f3a8-0000-7000-8000-000000000001"), datetime(2024, 1, 15, 8, tzinfo=UTC)
)


def hl7(*lines: str) -> Document:
    """A message of these segments; an MSH comes first when none is given."""
    if not lines or not lines[0].startswith("MSH"):
        lines = ("MSH|^~\\&|A|B|C|D|20240115||ADT^A01|1|P|2.5.1", *lines)
    return parse("\r".join(lines).encode() + b"\r")


def json(value: Any) -> Document:
    return JsonDocument(value)


def fhir(*resources: dict[str, Any]) -> Document:
    entries = [{"fullUrl": f"urn:uuid:{n}", "resource": r} for n, r in enumerate(resources, 1)]
    return FhirDocument({"resourceType": "Bundle", "type": "collection", "entry": entries})


def expression(text: str, format: str = "hl7v2", **params: str) -> Expression:
    diagnostics = Diagnostics()
    scalar = Scalar(text, False, Position("x.yaml", 1, 1))
    found = compile_expression(scalar, format=format, diagnostics=diagnostics, names=params)
    assert found is not None, [str(one) for one in diagnostics.items]
    return found


def value(text: str, document: Document, context: MapContext = CONTEXT) -> Any:
    return expression(text, document.format).value(document, context)


def mapping(text: str, source: str = "hl7v2", target: str = "fhir") -> CompiledMapping:
    diagnostics = Diagnostics()
    head = f"mapping: t\nfrom: {{format: {source}}}\nto: {{format: {target}}}\n"
    root = read_yaml(head + text, "t.yaml", diagnostics)
    assert root is not None, [str(one) for one in diagnostics.items]
    found = compile_mapping(root, diagnostics=diagnostics, name="t")
    assert found is not None, [str(one) for one in diagnostics.items]
    return found


def mapped(text: str, document: Document, target: str = "fhir", **params: Any) -> Any:
    context = MapContext(CONTEXT.message_id, CONTEXT.now, params=params)
    return mapping(text, document.format, target).apply(document, context)
