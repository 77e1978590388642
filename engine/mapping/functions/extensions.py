"""FHIR extensions: what a resource says besides its elements.

An extension is named by its whole URL or by what follows the URL's last slash, so that one name
finds `http://hl7.org/fhir/StructureDefinition/patient-religion` and a site's own.  Extensions that
hold others, as a group of HL7 v2 fields does (`XCN.3` within one of the site's own), are looked
through one level deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from engine.mapping.functions.signature import function

_FIELD: Final = "hl7v2Field"


def _listed(element: Any) -> list[dict[str, Any]]:
    found = element.get("extension") if isinstance(element, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _named(item: dict[str, Any], name: str) -> bool:
    url = item.get("url")
    return isinstance(url, str) and (url == name or url.endswith("/" + name))


def _matching(element: Any, name: str) -> Iterator[dict[str, Any]]:
    outer = _listed(element)
    direct = False
    for item in outer:
        if _named(item, name):
            direct = True
            yield item
    if not direct:
        for item in outer:
            yield from (inner for inner in _listed(item) if _named(inner, name))


def _value(item: dict[str, Any]) -> Any:
    for key, value in item.items():
        if key.startswith("value") and len(key) > 5:
            return value
    return item if _listed(item) else None


@function(
    examples=[
        ("extension($src, 'patient-religion')", None),
        ("extension(first([]), 'XCN.3')", None),
        ("exists(extension('a', 'b'))", False),
    ]
)
def extension(element: Any, name: str) -> Any:
    """The value of the element's first extension of that name; the extension itself when it holds
    others instead of a value.  The name is the URL, or what follows its last slash."""
    return next((v for v in map(_value, _matching(element, name)) if v is not None), None)


@function(
    examples=[
        ("extensions($src, 'patient-citizenship')", None),
        ("extensions(first([]), 'OBX.17')", None),
        ("count(extensions('a', 'b'))", 0),
    ]
)
def extensions(element: Any, name: str) -> list[Any] | None:
    """The values of all the element's extensions of that name, as `extension` gives one."""
    return [v for v in map(_value, _matching(element, name)) if v is not None] or None


@function(
    examples=[
        ("tagged(['a'], 'NK1.5')", None),
        ("tagged([], 'NK1.5')", None),
        ("count(tagged('a', 'PV1.7'))", 0),
    ]
)
def tagged(values: list[Any], *fields: str) -> list[Any] | None:
    """The elements whose extension `hl7v2Field` says that they were one of these HL7 v2 fields
    (`PV1.7`): senders who made FHIR of HL7 v2 note it so."""
    return [v for v in values if any(_value(e) in fields for e in _matching(v, _FIELD))] or None


@function(
    examples=[
        ("untagged(['a'])", ["a"]),
        ("untagged([], 'NK1.7')", None),
        ("untagged('a', 'NK1.7')", ["a"]),
    ]
)
def untagged(values: list[Any], *fields: str) -> list[Any] | None:
    """The elements that do not say that they were one of these fields (see `tagged`); without
    fields, those that name no field at all."""
    found = []
    for value in values:
        names = {_value(item) for item in _matching(value, _FIELD)}
        if not (names.intersection(fields) if fields else names):
            found.append(value)
    return found or None
