"""XML documents of any kind, SOAP envelopes and HL7 CDA: read hardened, written from trees."""

from __future__ import annotations

from engine.formats.xml.document import XmlDocument, XmlFormat
from engine.formats.xml.names import PREDECLARED, XML_FORMATS, Element
from engine.formats.xml.texts import direct_text, place_of, text_inside
from engine.formats.xml.writing import XmlTree

__all__ = [
    "PREDECLARED",
    "XML_FORMATS",
    "Element",
    "XmlDocument",
    "XmlFormat",
    "XmlTree",
    "direct_text",
    "place_of",
    "text_inside",
]
