"""HL7 v2 as a `Format`: what channels with ``format: hl7v2`` read and write."""

from __future__ import annotations

from typing import Any, Final

from engine.contract import Document, Payload, Stage
from engine.formats.errors import format_error
from engine.formats.hl7v2.message import Hl7Message, parse

CONTENT_TYPE: Final = "application/hl7-v2"


class Hl7Format:
    """`key` is MSH-9's type and event (``ADT^A01``), `control_id` is MSH-10."""

    name: Final = "hl7v2"

    def parse(self, payload: Payload, *, charset: str | None = None) -> Hl7Message:
        """What the payload itself says about its charset (an HTTP header) is the default then."""
        return parse(payload.body, payload.charset or charset)

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        if isinstance(tree, Hl7Message):
            return Payload(tree.to_bytes(), CONTENT_TYPE, tree.charset.codec)
        raise format_error("HL7-TREE", stage=Stage.MAPPING)

    def key(self, document: Document) -> str:
        return document.type if isinstance(document, Hl7Message) else ""

    def control_id(self, document: Document) -> str:
        return document.control_id if isinstance(document, Hl7Message) else ""
