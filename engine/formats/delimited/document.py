"""Tables as `Format`.  What a table looks like is said by the mapping that reads it, so a channel
only needs the character set."""

from __future__ import annotations

from codecs import BOM_UTF8
from dataclasses import dataclass, field
from typing import Any, Final

from engine.contract import Document, Payload, Stage
from engine.formats.charsets import UTF_8, find_charset
from engine.formats.delimited.layout import Layout
from engine.formats.delimited.reading import read_rows
from engine.formats.delimited.writing import write_rows
from engine.formats.errors import format_error

CONTENT_TYPE: Final = "text/csv"


@dataclass(frozen=True, slots=True)
class DelimitedDocument:
    """The decoded text; `rows` reads it."""

    text: str = field(repr=False)
    payload: Payload = field(repr=False)

    @property
    def format(self) -> str:
        return "delimited"

    def rows(self, layout: Layout) -> list[dict[str, str]]:
        """Raises FormatError: DELIMITED-SYNTAX."""
        return read_rows(self.text, layout)

    @property
    def value(self) -> dict[str, Any]:
        """The rows as a table with commas and a header has them.  Raises FormatError."""
        return {"rows": self.rows(Layout())}


@dataclass(frozen=True, slots=True)
class DelimitedTree:
    """What a mapping gives, with the layout it asks for."""

    tree: Any = field(repr=False)
    layout: Layout


class DelimitedFormat:
    """A table has no routing type and no control id."""

    name: Final = "delimited"

    def parse(self, payload: Payload, *, charset: str | None = None) -> DelimitedDocument:
        """Raises FormatError: CHARSET-DECODE, CHARSET-UNKNOWN."""
        wanted = UTF_8
        named = payload.charset or charset
        body = payload.body
        if body.startswith(BOM_UTF8):
            body = body[3:]
        elif named is not None:
            found = find_charset(named)
            if found is None:
                raise format_error("CHARSET-UNKNOWN")
            wanted = found
        text = wanted.decode(body).removeprefix("\ufeff")
        content_type = payload.content_type or CONTENT_TYPE
        return DelimitedDocument(text, Payload(payload.body, content_type, wanted.codec))

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        """Raises FormatError: what `write_rows` raises, CHARSET-UNKNOWN, CHARSET-ENCODE."""
        wanted = UTF_8 if charset is None else find_charset(charset)
        if wanted is None:
            raise format_error("CHARSET-UNKNOWN", stage=Stage.MAPPING)
        if isinstance(tree, DelimitedDocument):
            if charset is None or wanted.codec == tree.payload.charset:
                return tree.payload
            return Payload(wanted.encode(tree.text), CONTENT_TYPE, wanted.codec)
        if not isinstance(tree, DelimitedTree):
            tree = DelimitedTree(tree, Layout())
        body = wanted.encode(write_rows(tree.tree, tree.layout))
        return Payload(body, CONTENT_TYPE, wanted.codec)

    def key(self, document: Document) -> str:
        return ""

    def control_id(self, document: Document) -> str:
        return ""
