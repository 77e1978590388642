"""References between FHIR resources of one input, and the structure of HL7 v2 messages."""

from __future__ import annotations

from typing import Any

from engine.formats.hl7v2.structure_table import structure_of_event
from engine.mapping.functions.signature import Context, function


@function(
    examples=[
        ("resolve('Patient/1')", None),
        ("resolve(first([]))", None),
        ("exists(resolve('urn:uuid:1'))", False),
        ("resolve(['Patient/1', 'Patient/2'])", None),
    ]
)
def resolve(context: Context, reference: Any) -> Any:
    """The resource that a reference means: in the input Bundle by full URL or ``Type/id``, or
    contained (``#id``) in the input resource.  Nothing when it is not there; of a list of
    references, the resources that are."""
    if isinstance(reference, list):
        found = [_resolved(context, item) for item in reference]
        return [resource for resource in found if resource is not None] or None
    return _resolved(context, reference)


def _resolved(context: Context, reference: Any) -> Any:
    target = reference.get("reference") if isinstance(reference, dict) else reference
    if not isinstance(target, str):
        return None
    index = context.memo.get("resolve")
    if index is None:
        index = context.memo["resolve"] = _index(getattr(context.document, "value", None))
    found = index.get(target)
    if found is None and "/" in target:
        found = index.get("/".join(target.partition("/_history/")[0].split("/")[-2:]))
    return found


def _index(value: Any) -> dict[str, Any]:
    index: dict[str, Any] = {}
    if not isinstance(value, dict):
        return index
    entries = value.get("entry")
    listed: list[Any] = entries if isinstance(entries, list) else [{"resource": value}]
    for entry in listed:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        if isinstance(entry.get("fullUrl"), str):
            index.setdefault(entry["fullUrl"], resource)
        if isinstance(resource.get("id"), str):
            index.setdefault(f"{resource.get('resourceType')}/{resource['id']}", resource)
        contained = resource.get("contained")
        for inner in contained if isinstance(contained, list) else ():
            if isinstance(inner, dict) and isinstance(inner.get("id"), str):
                index.setdefault(f"#{inner['id']}", inner)
    return index


@function(
    examples=[
        ("reference('Patient', '1').reference", "Patient/1"),
        ("reference('Patient', first([]))", None),
        ("reference('Patient', 'a b')", None),
    ]
)
def reference(type: str, id: str) -> dict[str, Any] | None:
    """A FHIR Reference to ``Type/id``; nothing when the id cannot be one."""
    if not id or len(id) > 64 or not all(c.isascii() and (c.isalnum() or c in "-.") for c in id):
        return None
    return {"reference": f"{type}/{id}"}


@function(
    examples=[
        ("message_structure('ADT', 'A08')", "ADT_A01"),
        ("message_structure('ACK', 'A01')", None),
        ("message_structure('ZZZ', 'Z01')", None),
    ]
)
def message_structure(type: str, event: str) -> str | None:
    """The structure that HL7 gives a message of this type and event, for MSH-9.3."""
    return structure_of_event(type, event)
