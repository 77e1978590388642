"""HL7 v2 as a `Format`: what channels with ``format: hl7v2`` read and write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.contract import Document, Payload, Stage
from engine.formats.charsets import find_charset
from engine.formats.errors import format_error
from engine.formats.hl7v2.message import Hl7Message, parse
from engine.formats.hl7v2.writing import write_tree

CONTENT_TYPE: Final = "application/hl7-v2"


class Hl7Format:
    """`key` is MSH-9's type and event (``ADT^A01``), `control_id` is MSH-10."""

    name: Final = "hl7v2"

    def parse(self, payload: Payload, *, charset: str | None = None) -> Hl7Message:
        """What the payload's transport said about its charset comes before the channel's; what
        the message says in MSH-18 before both."""
        return parse(payload.body, payload.charset or charset)

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        """A tree as `write_tree` takes it; or a message, recoded when ``charset`` is another one
        than its own."""
        if isinstance(tree, Hl7Message):
            return _rewrite(tree, charset)
        if not isinstance(tree, Mapping):
            raise format_error("HL7-TREE", stage=Stage.MAPPING)
        body, written = write_tree(tree, charset)
        return Payload(body, CONTENT_TYPE, written.codec)

    def key(self, document: Document) -> str:
        return document.type if isinstance(document, Hl7Message) else ""

    def control_id(self, document: Document) -> str:
        return document.control_id if isinstance(document, Hl7Message) else ""


def _rewrite(message: Hl7Message, setting: str | None) -> Payload:
    charset = message.charset
    if setting is not None:
        wanted = find_charset(setting)
        if wanted is None:
            raise format_error("CHARSET-UNKNOWN", stage=Stage.MAPPING)
        if wanted.codec != charset.codec:
            return Payload(message.recoded(wanted), CONTENT_TYPE, wanted.codec)
    return Payload(message.to_bytes(), CONTENT_TYPE, charset.codec)
