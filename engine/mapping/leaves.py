"""The leaves of a document by their places, and the document with its values placed.

A leaf is what can be read by itself: a sub-component of HL7 v2 that is not blank, a scalar of a
tree, an attribute or the text of an XML element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.contract import Document, Payload
from engine.formats import FORMATS, FhirDocument, JsonDocument, XmlDocument
from engine.formats.hl7v2 import Hl7Message, Segment
from engine.formats.hl7v2.segment import HEADERS
from engine.formats.xml import place_of
from engine.mapping.placed import Placed, PlacedBool, PlacedDecimal, PlacedInt, Span


@dataclass(frozen=True, slots=True)
class SourceLeaf:
    """``at`` is where it is in its field, for HL7 v2; ``syntax``: it only says how to read."""

    place: str
    value: str = field(repr=False)
    at: Span | None = None
    syntax: bool = False


def placed_document(document: Document) -> tuple[Document, list[SourceLeaf]]:
    """A copy whose values know their places (an XML document needs none), and all its leaves."""
    leaves: list[SourceLeaf] = []
    if isinstance(document, Hl7Message):
        payload = Payload(document.to_bytes())
        copy = FORMATS["hl7v2"].parse(payload, charset=document.charset.name)
        assert isinstance(copy, Hl7Message)  # noqa: S101
        counts: dict[str, int] = {}
        number = 0
        for segment in copy.all:
            counts[segment.name] = counts.get(segment.name, 0) + 1
            number = _segment(segment, counts[segment.name], number, leaves)
        return copy, leaves
    if isinstance(document, XmlDocument):
        return document, list(_xml(document.value))
    if isinstance(document, FhirDocument):
        return FhirDocument(_tree(document.value, "", leaves)), leaves
    if isinstance(document, JsonDocument):
        return JsonDocument(_tree(document.value, "", leaves)), leaves
    return document, leaves


def _segment(segment: Segment, occurrence: int, number: int, leaves: list[SourceLeaf]) -> int:
    """Places the fields of a segment; returns the number of the next field of the message."""
    name = f"{segment.name}[{occurrence}]"
    header = segment.name in HEADERS
    fields: list[str] = segment.fields
    for at in range(1, len(fields)):
        text = fields[at]
        if header and at < 3:
            leaves.append(SourceLeaf(f"{name}-{at}", text, None, syntax=True))
            continue
        fields[at] = Placed.of(text, number, 0)
        leaves += _field(f"{name}-{at}", text, number, segment)
        number += 1
    return number


def _field(name: str, text: str, number: int, segment: Segment) -> Iterator[SourceLeaf]:
    separators, at = segment.separators, 0
    for i, repetition in enumerate(text.split(separators.repetition), start=1):
        for j, component in enumerate(repetition.split(separators.component), start=1):
            for k, part in enumerate(component.split(separators.subcomponent), start=1):
                if part and not part.isspace():
                    place = f"{name}[{i}].{j}.{k}"
                    span = Span(number, at, at + len(part))
                    yield SourceLeaf(place, separators.unescape(part), span)
                at += len(part) + 1


def _tree(value: Any, place: str, leaves: list[SourceLeaf]) -> Any:
    if isinstance(value, dict):
        return {
            key: _tree(item, f"{place}.{key}" if place else key, leaves)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _tree(item, f"{place}[{number}]", leaves) for number, item in enumerate(value, start=1)
        ]
    if value is None or (isinstance(value, str) and (not value or value.isspace())):
        return value
    place = place or "$src"
    made: Any
    if isinstance(value, bool):
        made = PlacedBool(value)
        leaves.append(SourceLeaf(place, "true" if value else "false"))
    elif isinstance(value, str):
        made = Placed.of(value, place)
        leaves.append(SourceLeaf(place, value))
    else:
        made = PlacedDecimal(value) if isinstance(value, Decimal) else PlacedInt(value)
        leaves.append(SourceLeaf(place, str(value)))
    if not isinstance(made, Placed):
        made.place = place
    return made


def _xml(root: Any) -> Iterator[SourceLeaf]:
    for element in root.iter("*"):
        place = place_of(element)
        for name, value in element.attrib.items():
            if value.strip():
                yield SourceLeaf(f"{place}/@{_attribute(element, name)}", value)
        inside = [element.text, *(child.tail for child in element)]
        text = " ".join("".join(part or "" for part in inside).split())
        if text:
            yield SourceLeaf(place, text)


def _attribute(element: Any, name: str) -> str:
    """``xsi:type`` as the document writes it."""
    uri, _, local = name.rpartition("}")
    if not uri:
        return local
    prefixes = {known: prefix for prefix, known in element.nsmap.items() if prefix}
    prefix = prefixes.get(uri[1:], "xml" if uri.endswith("/namespace") else "")
    return f"{prefix}:{local}" if prefix else local
