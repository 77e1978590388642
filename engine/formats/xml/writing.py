"""Trees of a mapping to XML: keys are element names, ``@a`` attributes, ``#text`` text,
``#content`` a list of texts and elements in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from engine.contract import FormatError, Payload, Stage
from engine.formats.charsets import UTF_8, find_charset
from engine.formats.errors import format_error
from engine.formats.null import Null
from engine.formats.scalars import scalar_text
from engine.formats.xml.names import KNOWN_IN_FRAGMENTS, PREDECLARED, SOAP_12, UnknownPrefix, clark
from engine.formats.xml.reading import read_xml

MAX_DEPTH: Final = 250
TEXT: Final = "#text"
CONTENT: Final = "#content"


@dataclass(frozen=True, slots=True)
class XmlTree:
    """A tree with the namespaces its mapping declares, by prefix; ``''`` is the default one.

    Declared namespaces stand on the root, needed or not, since values such as those of
    ``xsi:type`` may use their prefixes; those every mapping knows only where a name uses them.
    """

    tree: Any = field(repr=False)
    namespaces: Mapping[str, str] = field(default_factory=dict)


def write_xml(tree: Any, format: str, charset: str | None = None) -> Payload:
    """An `XmlTree` or an element with its XML declaration, in UTF-8 or in ``charset``; characters
    the set lacks become character references.

    Raises FormatError: XML-TREE, CHARSET-UNKNOWN.
    """
    wanted = UTF_8 if charset is None else find_charset(charset)
    if wanted is None:
        raise format_error("CHARSET-UNKNOWN", stage=Stage.MAPPING)
    root = xml_root(tree, format) if isinstance(tree, XmlTree) else tree
    text: str = etree.tostring(root, encoding="unicode")
    name = "UTF-8" if wanted is UTF_8 else wanted.codec.upper()
    whole = f'<?xml version="1.0" encoding="{name}"?>\n{text}\n'
    try:
        body = whole.encode(wanted.codec, "xmlcharrefreplace")
    except UnicodeError:
        raise format_error("CHARSET-ENCODE", stage=Stage.MAPPING) from None
    soap_12 = format == "soap" and str(root.tag).startswith(f"{{{SOAP_12}}}")
    return Payload(body, "application/soap+xml" if soap_12 else _TYPES[format], wanted.codec)


_TYPES: Final = {"xml": "application/xml", "soap": "text/xml", "cda": "application/xml"}


def xml_root(given: XmlTree, format: str) -> Any:
    """The root element.  What a SOAP mapping gives without an envelope gets one.

    Raises FormatError: XML-TREE.
    """
    namespaces = {**PREDECLARED[format], **given.namespaces}
    tree = given.tree
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise _wrong("the output is one element: one key, the root's name")
    ((name, content),) = tree.items()
    if format == "soap" and name != "soap:Envelope":
        name, content = "soap:Envelope", {"soap:Body": tree}
    nsmap = {prefix or None: uri for prefix, uri in namespaces.items() if prefix != "xml" and uri}
    if isinstance(content, list):
        if len(content) != 1:
            raise _wrong("the output has one root")
        content = content[0]
    try:
        root = etree.Element(clark(str(name), namespaces), nsmap=nsmap)
        _fill(root, content, namespaces, 1)
    except UnknownPrefix as error:
        raise _wrong(f"no namespace is declared for the prefix '{error}'") from None
    except ValueError:
        # lxml's text may quote the value, so it goes no further.
        raise _wrong("a name or a character that XML cannot hold") from None
    kept = [prefix for prefix in given.namespaces if prefix]
    etree.cleanup_namespaces(root, keep_ns_prefixes=kept)
    return root


def add_child(parent: Any, name: str, namespaces: Mapping[str, str]) -> Any:
    """A new last child; without a prefix it is in its parent's namespace.  Raises UnknownPrefix."""
    uri, _, _ = str(parent.tag).rpartition("}")
    tag = clark(name, namespaces) if ":" in name else f"{uri}}}{name}" if uri else name
    return etree.SubElement(parent, tag)


def xml_lines(payload: Payload) -> list[str]:
    """A document in lines, the same for the same content: one element a line where nothing but
    spaces stands between elements.  Raises FormatError."""
    root, _ = read_xml(payload.body, payload.charset, KNOWN_IN_FRAGMENTS)
    prefixes: dict[str, str] = {}
    for element in root.iter():
        for prefix, uri in element.nsmap.items():
            if prefix:
                prefixes.setdefault(prefix, uri)
        if element.text is not None and len(element) and element.text.isspace():
            element.text = None
        if element.tail is not None and element.tail.isspace():
            element.tail = None
    etree.cleanup_namespaces(root, top_nsmap=prefixes)
    etree.indent(root)
    text: str = etree.tostring(root, encoding="unicode")
    return text.splitlines()


def _fill(element: Any, content: Any, namespaces: Mapping[str, str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _wrong(f"at most {MAX_DEPTH} levels are written")
    if not isinstance(content, Mapping):
        if content is not None and not isinstance(content, Null):
            element.text = _text(content)
        return
    for key, value in content.items():
        name = str(key)
        if value is None or isinstance(value, Null):
            continue
        if name.startswith("@"):
            element.set(clark(name[1:], namespaces, attribute=True), _text(value))
        elif name == TEXT:
            _append(element, _text(value))
        elif name == CONTENT:
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Mapping):
                    _children(element, part, namespaces, depth)
                elif part is not None:
                    _append(element, _text(part))
        else:
            _children(element, {name: value}, namespaces, depth)


def _children(
    element: Any, content: Mapping[Any, Any], namespaces: Mapping[str, str], depth: int
) -> None:
    for key, value in content.items():
        tag = clark(str(key), namespaces)
        for item in value if isinstance(value, list) else [value]:
            if item is not None and not isinstance(item, Null):
                _fill(etree.SubElement(element, tag), item, namespaces, depth + 1)


def _append(element: Any, text: str) -> None:
    """Text after everything that is there."""
    if len(element):
        last = element[-1]
        last.tail = (last.tail or "") + text
    else:
        element.text = (element.text or "") + text


def _text(value: Any) -> str:
    text = scalar_text(value)
    if text is None:
        raise _wrong("a single text is wanted where a list or an object stands")
    return text


def _wrong(summary: str) -> FormatError:
    return format_error("XML-TREE", summary, stage=Stage.MAPPING)
