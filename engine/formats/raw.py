"""Bytes passed on untouched: for channels whose content nobody here shall read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from engine.contract import Document, Payload, Stage
from engine.formats.errors import format_error


@dataclass(frozen=True, slots=True)
class RawDocument:
    payload: Payload = field(repr=False)

    @property
    def format(self) -> str:
        return "raw"


class RawFormat:
    """Has no routing type and no control id; every payload is readable."""

    name: Final = "raw"

    def parse(self, payload: Payload, *, charset: str | None = None) -> RawDocument:
        return RawDocument(payload)

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        """A `RawDocument` gives its payload back, with its type and charset."""
        if isinstance(tree, RawDocument):
            return tree.payload
        if isinstance(tree, bytes):
            return Payload(tree, charset=charset)
        raise format_error("RAW-TREE", stage=Stage.MAPPING)

    def key(self, document: Document) -> str:
        return ""

    def control_id(self, document: Document) -> str:
        return ""
