"""Bytes to an element tree, hardened: no DTD, no entities, no network, bounded depth.

The character set is that of the byte order mark, else of the XML declaration, else the transport's
or the channel's, else UTF-8 (XML 1.0, 4.3.3).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from lxml import etree

from engine.formats.charsets import find_charset
from engine.formats.errors import format_error

MAX_DEPTH: Final = 256
_ORDINARY: Final = 8_000_000  # below libxml2's own limit for one text

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_DECLARATION: Final = re.compile(
    rb"<\?xml\s[^>]*?(?:encoding\s*=\s*[\"']([A-Za-z][\w.-]*)[\"'][^>]*?)?\?>"
)
_START_TAG: Final = re.compile(rb"<[^\s/>!?]+")
_PROLOG: Final = re.compile(rb"(?:\s+|<!--.*?-->|<\?.*?\?>)*", re.DOTALL)


def read_xml(
    body: bytes, charset: str | None = None, known: Mapping[str, str] = _NOTHING
) -> tuple[Any, str]:
    """The root element and the codec it was read with.  Comments and processing instructions are
    left out.  ``known`` are prefixes that a fragment may use without declaring them.

    Raises FormatError: XML-SYNTAX, XML-DOCTYPE, XML-DEPTH, CHARSET-DECODE or CHARSET-UNKNOWN;
    nothing else, for any bytes.
    """
    text, codec = _utf8(body, charset)
    found = _DECLARATION.match(text)
    prolog = _PROLOG.match(text, found.end() if found else 0)
    start = prolog.end() if prolog else 0
    if text.startswith(b"<!DOCTYPE", start):
        raise format_error("XML-DOCTYPE")
    large = len(text) > _ORDINARY
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        huge_tree=large,
    )
    try:
        try:
            root = etree.fromstring(text, parser)
        except etree.XMLSyntaxError as error:
            if not known or error.code != etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE:
                raise
            root = etree.fromstring(_declared(text, start, known), parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error).lower():
            raise format_error("XML-DEPTH") from None
        line, column = error.position
        raise format_error("XML-SYNTAX", f"not XML at line {line}, column {column}") from None
    except ValueError:
        raise format_error("XML-SYNTAX") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise format_error("XML-DOCTYPE")
    if large and _too_deep(root):
        raise format_error("XML-DEPTH")
    return root, codec


def _declared(text: bytes, start: int, known: Mapping[str, str]) -> bytes:
    """The document with the known prefixes declared on its root, where that does not do so."""
    name = _START_TAG.match(text, start)
    if name is None:
        return text
    inside = text[name.end() : text.find(b">", name.end())]
    missing = [
        f' xmlns:{prefix}="{uri}"'.encode()
        for prefix, uri in known.items()
        if f"xmlns:{prefix}".encode() not in inside
    ]
    return b"".join([text[: name.end()], *missing, text[name.end() :]])


def _utf8(body: bytes, given: str | None) -> tuple[bytes, str]:
    """The text in UTF-8 without a mark, and the codec it came in."""
    if body.startswith(BOM_UTF8):
        return body[3:], "utf-8"
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return _decoded(body, "utf-16"), "utf-16"
    if body.startswith((b"<\x00?\x00", b"\x00<\x00?")):
        codec = "utf-16-le" if body.startswith(b"<") else "utf-16-be"
        return _decoded(body, codec), codec
    found = _DECLARATION.match(body)
    name = found[1].decode("ascii") if found and found[1] else given
    if name is None or name.lower() in ("utf-8", "utf8"):
        return body, "utf-8"
    charset = find_charset(name)
    if charset is None:
        raise format_error("CHARSET-UNKNOWN")
    return charset.decode(body).encode("utf-8", "replace"), charset.codec


def _decoded(body: bytes, codec: str) -> bytes:
    try:
        return body.decode(codec).encode().removeprefix(BOM_UTF8)
    except UnicodeError:
        raise format_error("CHARSET-DECODE", "a byte of the payload does not fit UTF-16") from None


def _too_deep(root: Any) -> bool:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            return True
    return False
