"""XML, SOAP and CDA as `Format`: what channels of these formats read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.contract import Document, Payload
from engine.formats.charsets import find_charset
from engine.formats.xml.names import KNOWN_IN_FRAGMENTS, SOAP_11, SOAP_12, V3
from engine.formats.xml.reading import read_xml
from engine.formats.xml.texts import direct_text
from engine.formats.xml.writing import XmlTree, write_xml


@dataclass(frozen=True, slots=True)
class XmlDocument:
    """``value`` is the root element (lxml); nobody changes it.  ``payload`` is what was read."""

    format: str
    value: Any = field(repr=False)
    payload: Payload = field(repr=False)

    @property
    def content(self) -> Any:
        """The root; of a SOAP envelope the first element of its body, None for an empty one."""
        return content_of(self.value)


class XmlFormat:
    """`key` is the local name of the root, of a SOAP envelope that of the body's first element, of
    a CDA document the code of its type (LOINC).  `control_id` is ``id`` of an HL7 version 3
    interaction or document: its extension, or its root when it has none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def parse(self, payload: Payload, *, charset: str | None = None) -> XmlDocument:
        """Raises FormatError: what `read_xml` raises."""
        root, codec = read_xml(payload.body, payload.charset or charset, _FRAGMENTS[self.name])
        return XmlDocument(
            self.name, root, Payload(payload.body, payload.content_type or _TYPES[self.name], codec)
        )

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        """A document gives its own bytes back, unless another character set is wanted.

        Raises FormatError: XML-TREE, CHARSET-UNKNOWN, CHARSET-ENCODE.
        """
        if isinstance(tree, XmlDocument):
            wanted = None if charset is None else find_charset(charset)
            if charset is None or (wanted is not None and wanted.codec == tree.payload.charset):
                return tree.payload
            return write_xml(tree.value, self.name, charset)
        if not isinstance(tree, XmlTree):
            tree = XmlTree(tree)
        return write_xml(tree, self.name, charset)

    def key(self, document: Document) -> str:
        if not isinstance(document, XmlDocument):
            return ""
        content = document.content
        if content is None:
            return ""
        if document.format == "cda":
            code = next(content.iterchildren(f"{{{V3}}}code", "code"), None)
            if code is not None and code.get("code"):
                return str(code.get("code"))
        return str(content.tag).rpartition("}")[2]

    def control_id(self, document: Document) -> str:
        content = document.content if isinstance(document, XmlDocument) else None
        if content is None:
            return ""
        found = next(content.iterchildren("{*}id"), None)
        if found is None:
            return ""
        return found.get("extension") or found.get("root") or direct_text(found) or ""


_FRAGMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "xml": {},
    "soap": {},
    "cda": KNOWN_IN_FRAGMENTS,
}
_TYPES: Final = {"xml": "application/xml", "soap": "text/xml", "cda": "application/xml"}


def content_of(root: Any) -> Any:
    """The root, or the first element of a SOAP envelope's body; None for an empty one."""
    body = soap_body(root)
    return root if body is None else next(iter(body), None)


def soap_body(root: Any) -> Any:
    """The Body of an envelope; None when the root is none."""
    for uri in (SOAP_11, SOAP_12):
        if root.tag == f"{{{uri}}}Envelope":
            return next(root.iterchildren(f"{{{uri}}}Body"), None)
    return None
