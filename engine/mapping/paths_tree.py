"""Paths into JSON and FHIR: names step down, a list without a selector gives its first item.

FHIR's choice elements are found by their stem: ``.value`` finds ``valueQuantity``.
"""

from __future__ import annotations

from typing import Any, Final

from engine.formats.null import NULL
from engine.mapping.runstate import Code, Run

_CHOICES_TEXT: Final = """
abatement allowed amount asNeeded author born bounds chargeItem collected content date
deceased defaultValue definition detail diagnosis dose due effective entity event example
fastingStatus fixed identified indicated instantiates item legallyBinding location maxValue
medication minValue multipleBirth name occurrence occurred onset pattern performed
probability procedure product quantity rate reason reported scheduled serviced source start
statusReason subject substance target terms time timing topic used value valued when
"""
CHOICES: Final = frozenset(_CHOICES_TEXT.split())
"""Elements written ``name[x]`` in FHIR R4, R4B and R5."""

_TYPES_TEXT: Final = """
Address Age Annotation Attachment Base64Binary Boolean Canonical Code CodeableConcept
CodeableReference Coding ContactDetail ContactPoint Contributor Count DataRequirement Date
DateTime Decimal Distance Dosage Duration Expression HumanName Id Identifier Instant Integer
Integer64 Markdown Meta Money Oid ParameterDefinition Period PositiveInt Quantity Range
Ratio RatioRange Reference RelatedArtifact SampledData Signature String Time Timing
TriggerDefinition UnsignedInt Uri Url UsageContext Uuid
"""
_TYPES: Final = frozenset(_TYPES_TEXT.split())


def member(node: Any, name: str, choices: bool) -> Any:
    """The member of an object, or None; JSON's null is NULL."""
    value = node.get(name)
    if value is not None:
        return value
    if choices and name in CHOICES:
        length = len(name)
        for key, chosen in node.items():
            if key.startswith(name) and key[length:] in _TYPES:
                return chosen
    elif not choices and name in node:
        return NULL
    return None


def names_from(cell: int, names: tuple[str, ...], choices: bool) -> Code:
    """``$src.order.number``: the whole value at the end, its first item if it is a list."""

    def code(run: Run) -> Any:
        node = run[cell]
        for name in names:
            if node.__class__ is list:
                node = node[0] if node else None
            if node.__class__ is not dict:
                return None
            node = node.get(name)
            if node is None:
                return None
        if node.__class__ is list:
            node = node[0] if node else None
        if node.__class__ is str and (not node or node.isspace()):
            return None
        return node

    if not choices or not CHOICES.isdisjoint(names):

        def careful(run: Run) -> Any:
            node = run[cell]
            for name in names:
                if node.__class__ is list:
                    node = node[0] if node else None
                if node.__class__ is not dict:
                    return None
                node = member(node, name, choices)
            if node.__class__ is list:
                node = node[0] if node else None
            return present(node)

        return careful
    return code


def row_cell(row: Code, number: int) -> Code:
    """``$row[3]``: the third cell of a row; of a list its third item."""

    def cell(run: Run) -> Any:
        node = row(run)
        if node.__class__ is dict:
            node = list(node.values())
        if node.__class__ is not list:
            return None
        found = node[-1:] if number == -1 else node[number - 1 : number]
        return present(found[0]) if found else None

    return cell


def present(value: Any) -> Any:
    """None for blank text."""
    if value.__class__ is str and (not value or value.isspace()):
        return None
    return value


def candidates(value: Any) -> list[Any]:
    """The items of a list, or the one value that is there."""
    if value.__class__ is list:
        return list(value)
    return [] if value is None else [value]


def resources(value: Any) -> dict[str, list[Any]]:
    """The resources of the input by type: a Bundle's entries, or the one resource."""
    found: dict[str, list[Any]] = {}
    if value.__class__ is not dict:
        return found
    inside: list[Any] = [value]
    entries = value.get("entry")
    if value.get("resourceType") == "Bundle" and isinstance(entries, list):
        inside += [entry.get("resource") for entry in entries if isinstance(entry, dict)]
    for resource in inside:
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            found.setdefault(resource["resourceType"], []).append(resource)
    return found


def copied(value: Any, drops_null: bool) -> Any:
    """A value of the input as output: blank text and what holds nothing left out.

    A null inside is a value like a null that is named: it stays unless the target has none.
    """
    kind = value.__class__
    if kind is dict:
        entries = ((key, _inside(inside, drops_null)) for key, inside in value.items())
        return {key: inside for key, inside in entries if inside is not None} or None
    if kind is list:
        found = (_inside(inside, drops_null) for inside in value)
        return [inside for inside in found if inside is not None] or None
    return present(value)


def _inside(value: Any, drops_null: bool) -> Any:
    if value is None or value is NULL:
        return None if drops_null else NULL
    return copied(value, drops_null)
