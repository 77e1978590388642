"""Namespaces that need no declaration in a mapping, and names in lxml's ``{uri}local`` form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from lxml import etree

Element: Final[Any] = etree._Element
"""The class of every element, for ``value.__class__ is Element``."""
Node: TypeAlias = Any

V3: Final = "urn:hl7-org:v3"
SDTC: Final = "urn:hl7-org:sdtc"
XS: Final = "http://www.w3.org/2001/XMLSchema"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XML: Final = "http://www.w3.org/XML/1998/namespace"
SOAP_11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12: Final = "http://www.w3.org/2003/05/soap-envelope"

XML_FORMATS: Final = ("xml", "soap", "cda")
PREDECLARED: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "xml": {"xsi": XSI, "xml": XML},
        "soap": {"soap": SOAP_11, "xsi": XSI, "xml": XML},
        "cda": {"": V3, "sdtc": SDTC, "xsi": XSI, "xml": XML},
    }
)
"""By format: prefixes and namespaces; ``''`` is that of names without a prefix."""

KNOWN_IN_FRAGMENTS: Final[Mapping[str, str]] = MappingProxyType({"sdtc": SDTC, "xsi": XSI})
"""Prefixes that CDA fragments, such as the examples of C-CDA, use without declaring them."""

NAME: Final = re.compile(r"(?:([^\W\d][\w.-]*):)?([^\W\d][\w.-]*)")


class UnknownPrefix(LookupError):
    """No namespace is declared for this prefix."""


def element_tags(name: str, namespaces: Mapping[str, str]) -> tuple[str, ...]:
    """The tags that a name in a path means.

    A name without a prefix means any namespace where no default is declared.  CDA fragments come
    without a namespace too, and ``soap:`` is that of SOAP 1.1 and of 1.2.  Raises UnknownPrefix.
    """
    prefix, _, local = name.rpartition(":")
    if name == "*":
        return ("*",)
    if not prefix:
        default = namespaces.get("")
        if default is None:
            return (f"{{*}}{local}",)
        return (f"{{{V3}}}{local}", local) if default == V3 else (f"{{{default}}}{local}",)
    uri = namespaces.get(prefix)
    if uri is None:
        raise UnknownPrefix(prefix)
    if uri in (SOAP_11, SOAP_12):
        return (f"{{{SOAP_11}}}{local}", f"{{{SOAP_12}}}{local}")
    return (f"{{{V3}}}{local}", local) if uri == V3 else (f"{{{uri}}}{local}",)


def clark(name: str, namespaces: Mapping[str, str], *, attribute: bool = False) -> str:
    """``{uri}local`` of ``prefix:local``; an attribute without a prefix is in no namespace
    (Namespaces in XML 1.0, 6.2).  Raises UnknownPrefix."""
    prefix, _, local = name.rpartition(":")
    uri = namespaces.get(prefix)
    if uri is None and prefix:
        raise UnknownPrefix(prefix)
    return local if not uri or (attribute and not prefix) else f"{{{uri}}}{local}"
