"""Bytes to documents and back: `FORMATS` knows every format by the name a channel file uses.

A format is stateless and pure; it imports the contract and nothing else of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.contract import Format
from engine.formats.astm import AstmFormat, AstmMessage
from engine.formats.delimited import DelimitedDocument, DelimitedFormat
from engine.formats.detecting import detect
from engine.formats.errors import CODES
from engine.formats.fhir import FhirDocument, FhirFormat
from engine.formats.hl7v2.document import Hl7Format
from engine.formats.json import JsonDocument, JsonFormat
from engine.formats.null import NULL
from engine.formats.raw import RawDocument, RawFormat
from engine.formats.xml import XML_FORMATS, XmlDocument, XmlFormat

__all__ = [
    "CODES",
    "FORMATS",
    "NULL",
    "AstmMessage",
    "DelimitedDocument",
    "FhirDocument",
    "JsonDocument",
    "RawDocument",
    "XmlDocument",
    "detect",
]

_ALL: Final[tuple[Format, ...]] = (
    Hl7Format(),
    FhirFormat(),
    JsonFormat(),
    *(XmlFormat(name) for name in XML_FORMATS),
    AstmFormat(),
    DelimitedFormat(),
    RawFormat(),
)
FORMATS: Final[Mapping[str, Format]] = {format.name: format for format in _ALL}
