"""Tables as text: separated values (RFC 4180 and its relatives) and columns of fixed width."""

from __future__ import annotations

from engine.formats.delimited.document import DelimitedDocument, DelimitedFormat, DelimitedTree
from engine.formats.delimited.layout import Column, Layout

__all__ = ["Column", "DelimitedDocument", "DelimitedFormat", "DelimitedTree", "Layout"]
