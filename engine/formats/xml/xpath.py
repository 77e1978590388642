"""XPath 1.0 over elements: compiled once, without extensions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from lxml import etree

from engine.formats.xml.texts import place_of


class XPath:
    """Raises ValueError for what is no XPath, or uses a prefix or function that is not there."""

    def __init__(self, text: str, namespaces: Mapping[str, str]) -> None:
        known = {prefix: uri for prefix, uri in namespaces.items() if prefix}
        try:
            self._plain = etree.XPath(text, namespaces=known, regexp=False, smart_strings=False)
            self._smart = etree.XPath(text, namespaces=known, regexp=False)
            self._plain(etree.Element("x"))  # unknown prefixes are found when it runs
        except (etree.XPathError, ValueError) as error:
            raise ValueError(str(error)) from None

    def find(self, element: Any) -> list[Any]:
        """Elements, texts, or one number (int or Decimal) or boolean."""
        found = self._plain(element)
        if isinstance(found, list):
            return [item for item in found if not isinstance(item, str) or item.strip()]
        if isinstance(found, float):
            if found != found or found in (float("inf"), float("-inf")):
                return []
            return [int(found) if found.is_integer() else Decimal(repr(found))]
        return [found] if isinstance(found, bool) or found.strip() else []

    def places(self, element: Any) -> list[str | None]:
        """Where what is found stands; None for what was computed."""
        found = self._smart(element)
        if not isinstance(found, list):
            return [None]
        places: list[str | None] = []
        for item in found:
            if not isinstance(item, str):
                places.append(place_of(item))
            elif item.strip():
                parent = item.getparent()  # type: ignore[attr-defined]
                name = item.attrname  # type: ignore[attr-defined]
                shown = f"/@{name.rpartition('}')[2]}" if name else ""
                places.append(None if parent is None else place_of(parent) + shown)
        return places
