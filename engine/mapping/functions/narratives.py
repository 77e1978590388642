"""The narrative of CDA documents: what the ``#`` references of entries mean."""

from __future__ import annotations

from engine.formats import XmlDocument
from engine.formats.xml import elements_by_id, place_of, text_inside
from engine.mapping.functions.signature import Context, function


@function(
    examples=[
        ("narrative('#proc1')", None),
        ("narrative(first([]))", None),
        ("narrative('#proc1') ?? 'x'", "x"),
    ]
)
def narrative(context: Context, reference: str) -> str | None:
    """The text of the narrative element with this ID (CDA R2 4.3.5.1):
    `$act/text/reference.@value | narrative`. Nothing when it is not there."""
    document = context.document
    if not isinstance(document, XmlDocument):
        return None
    index = context.memo.get("narrative")
    if index is None:
        index = context.memo["narrative"] = elements_by_id(document.value)
    found = index.get(reference.strip().removeprefix("#"))
    text = None if found is None else text_inside(found)
    if text is not None:
        context.read(place_of(found) if context.explaining else "", text)
    return text
