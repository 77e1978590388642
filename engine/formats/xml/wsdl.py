"""WSDL 1.1: the XML Schemas under its ``types``, as files that a reader of schemas can load.

The description stands for a schema that imports one file for each namespace, named after it
(``orders.wsdl.1.xsd``); an import without a place among them is given that of its namespace.  Only
messages whose parts are elements (document/literal) are described so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from lxml import etree

from engine.formats.xml.names import XS

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"

Read: TypeAlias = Callable[[str], bytes | None]
"""A file's content by its path; None when there is none."""


def unfolding(read: Read) -> Read:
    """Gives what ``read`` gives, of a WSDL its schemas.

    Raises ValueError: a description without types, or with a DOCTYPE.
    """
    known: dict[str, bytes] = {}

    def content(path: str) -> bytes | None:
        if path in known:
            return known[path]
        found = read(path)
        if found is None or WSDL.encode() not in found:
            return found
        known.update(_schemas(path, found))
        return known.get(path, found)

    return content


def parser() -> etree.XMLParser:
    """Of schemas and descriptions: nothing is fetched, nothing expanded."""
    return etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)


def _schemas(path: str, content: bytes) -> dict[str, bytes]:
    """By path; {} when this is no WSDL."""
    if b"<!DOCTYPE" in content:
        raise ValueError(f"not a usable WSDL ('{path}' has a DOCTYPE)")
    try:
        root = etree.fromstring(content, parser())
    except etree.LxmlError:
        return {}
    if root.tag != f"{{{WSDL}}}definitions":
        return {}
    spaces: dict[str, list[Any]] = {}
    for schema in root.iterfind(f"{{{WSDL}}}types/{{{XS}}}schema"):
        spaces.setdefault(schema.get("targetNamespace", ""), []).append(schema)
    if not spaces:
        raise ValueError(f"not a usable WSDL ('{path}' has no schema under types)")
    files = {space: f"{path}.{number}.xsd" for number, space in enumerate(spaces, 1)}
    found: dict[str, bytes] = {path: _importing(files)}
    for space, several in spaces.items():
        parts = [f"{files[space]}.{n}.xsd" for n in range(1, len(several) + 1)]
        names = [files[space]] if len(several) == 1 else parts
        if len(several) > 1:
            found[files[space]] = _including(space, parts)
        for name, schema in zip(names, several, strict=True):
            for wanted in schema.iterfind(f"{{{XS}}}import"):
                place = files.get(wanted.get("namespace", ""))
                if wanted.get("schemaLocation") is None and place is not None:
                    wanted.set("schemaLocation", _beside(place))
            found[name] = etree.tostring(schema)
    return found


def _importing(files: dict[str, str]) -> bytes:
    root = etree.Element(f"{{{XS}}}schema")
    for space, place in files.items():
        one = etree.SubElement(root, f"{{{XS}}}import" if space else f"{{{XS}}}include")
        if space:
            one.set("namespace", space)
        one.set("schemaLocation", _beside(place))
    root[:] = sorted(root, key=lambda one: one.get("namespace") is not None)
    return bytes(etree.tostring(root))


def _including(space: str, parts: list[str]) -> bytes:
    root = etree.Element(f"{{{XS}}}schema", {"targetNamespace": space} if space else {})
    for place in parts:
        etree.SubElement(root, f"{{{XS}}}include", schemaLocation=_beside(place))
    return bytes(etree.tostring(root))


def _beside(path: str) -> str:
    return path.rpartition("/")[2]
