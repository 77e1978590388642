"""XML documents of any kind, SOAP envelopes and HL7 CDA: read hardened, written from trees."""

from __future__ import annotations

from engine.formats.xml.document import XmlDocument, XmlFormat, content_of
from engine.formats.xml.names import PREDECLARED, XML_FORMATS, Element
from engine.formats.xml.narrative import elements_by_id, narrative_html
from engine.formats.xml.narrative_block import narrative_block
from engine.formats.xml.texts import direct_text, place_of, text_inside
from engine.formats.xml.writing import XmlTree, add_child, xml_lines, xml_root

__all__ = [
    "PREDECLARED",
    "XML_FORMATS",
    "Element",
    "XmlDocument",
    "XmlFormat",
    "XmlTree",
    "add_child",
    "content_of",
    "direct_text",
    "elements_by_id",
    "narrative_block",
    "narrative_html",
    "place_of",
    "text_inside",
    "xml_lines",
    "xml_root",
]
