"""HL7 v2 in its delimited form (ER7): a lazy view to read and edit, a writer for mapped trees,
batches, acknowledgements, and the character sets of table 0211."""

from __future__ import annotations

from engine.formats.hl7v2.message import Hl7Message, parse
from engine.formats.hl7v2.segment import Segment
from engine.formats.hl7v2.separators import Separators

__all__ = ["Hl7Message", "Segment", "Separators", "parse"]
