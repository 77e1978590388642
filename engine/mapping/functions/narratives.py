"""The narrative of CDA documents: what the ``#`` references of entries mean, and XHTML as such."""

from __future__ import annotations

from typing import Any

from engine.formats import XmlDocument
from engine.formats.xml import elements_by_id, place_of, text_inside
from engine.formats.xml import narrative_block as block_of
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


@function(
    examples=[
        ("narrative_block('<div><p>Well</p></div>')",
         {"#content": [{"paragraph": {"#content": ["Well"]}}]}),
        ("narrative_block('<b>a</b>')",
         {"#content": [{"content": {"@styleCode": "Bold", "#content": ["a"]}}]}),
        ("narrative_block('<div> </div>')", None),
    ]
)  # fmt: skip
def narrative_block(html: str) -> dict[str, Any] | None:
    """XHTML, as in FHIR's Narrative, as the content of a CDA section's `text`: no styles, scripts,
    images or forms."""
    return block_of(html)
