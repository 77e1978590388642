"""``namespaces:`` of a mapping's ``from:`` and ``to:``, and the element names of an XML target."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary

from engine.formats.xml import PREDECLARED, XML_FORMATS
from engine.formats.xml.names import NAME, V3
from engine.formats.xml.writing import CONTENT, TEXT
from engine.syntax import Diagnostics, Mapping, Node, Scalar
from engine.syntax.nearest import did_you_mean


def read_namespaces(
    node: Node | None, format: str | None, diagnostics: Diagnostics
) -> dict[str, str]:
    """Those that are declared, by prefix; ``''`` is that of names without one."""
    found: dict[str, str] = {}
    if node is None:
        return found
    if format not in XML_FORMATS:
        diagnostics.at("M152", node, "only xml, soap and cda have namespaces", help="remove it")
        return found
    if not isinstance(node, Mapping):
        diagnostics.at("M152", node, "'namespaces' maps prefixes to URIs")
        return found
    for key, uri in node.entries:
        name = NAME.fullmatch(key.text)
        if not isinstance(uri, Scalar) or (key.text and (name is None or name[1])):
            diagnostics.at("M152", key, "a prefix and its URI are wanted", help="p: 'urn:…'")
            continue
        found[key.text] = uri.text
    return found


def known_namespaces(format: str | None, declared: Dictionary[str, str]) -> dict[str, str]:
    """What keys of a format may use; {} for other formats."""
    return {**PREDECLARED.get(format or "", {}), **declared} if format in XML_FORMATS else {}


def path_namespaces(format: str | None, declared: Dictionary[str, str]) -> dict[str, str]:
    """What paths of a format may use: XPath has no default namespace, so CDA has a prefix too."""
    known = known_namespaces(format, declared)
    return {"cda": V3, **known} if format == "cda" else known


def check_key(key: Scalar, namespaces: Dictionary[str, str], diagnostics: Diagnostics) -> None:
    """A diagnostic for a key of an XML target that can be no name."""
    text = key.text
    if text in (TEXT, CONTENT):
        return
    found = NAME.fullmatch(text.removeprefix("@"))
    if found is None:
        diagnostics.at(
            "M153",
            key,
            f"'{text}' is no XML name",
            help="keys are element names, '@name' attributes, '#text' and '#content'",
        )
    elif found[1] and found[1] not in namespaces:
        diagnostics.at(
            "M151",
            key,
            f"no namespace is declared for the prefix '{found[1]}'",
            help=did_you_mean(found[1], namespaces)
            or f"to: {{format: xml, namespaces: {{{found[1]}: 'urn:…'}}}}",
        )
