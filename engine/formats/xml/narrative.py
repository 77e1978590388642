"""The narrative block of CDA sections (CDA R2 4.3.5): found by its IDs, and shown as XHTML."""

from __future__ import annotations

from typing import Any, Final

from lxml import etree

XHTML: Final = "http://www.w3.org/1999/xhtml"
_SAME_TEXT: Final = "br col colgroup sub sup table tbody td tfoot th thead tr"
_ELEMENTS: Final[dict[str, str]] = {
    **{name: name for name in _SAME_TEXT.split()},
    "content": "span",
    "footnote": "span",
    "item": "li",
    "list": "ul",
    "paragraph": "p",
    "title": "h3",
}
_STYLES: Final = {"bold": "b", "italics": "i", "underline": "u", "emphasis": "em"}
_ATTRIBUTES: Final = frozenset({"colspan", "rowspan", "span"})
_EMPTY: Final = frozenset({"br", "col"})
_LINKS: Final = ("http://", "https://", "mailto:", "tel:", "#")


def elements_by_id(root: Any) -> dict[str, Any]:
    """Every element with an ``ID``, the first where one stands twice."""
    found: dict[str, Any] = {}
    for element in root.iter(etree.Element):
        name = element.get("ID")
        if name:
            found.setdefault(name, element)
    return found


def narrative_html(element: Any) -> str | None:
    """A ``div`` of XHTML as FHIR takes it (R4 2.4.0): no styles, scripts, images or forms; None
    where there is no text."""
    if not "".join(element.itertext()).strip():
        return None
    div = etree.Element(f"{{{XHTML}}}div", nsmap={None: XHTML})
    _copy(element, div)
    text: str = etree.tostring(div, encoding="unicode", with_tail=False)
    return text


def _copy(element: Any, target: Any) -> None:
    _append(target, element.text)
    for child in element.iterchildren(etree.Element):
        _put(child, target)
        _append(target, child.tail)


def _put(element: Any, target: Any) -> None:
    name = str(element.tag).rpartition("}")[2]
    style = (element.get("styleCode") or "").lower()
    made = _ELEMENTS.get(name)
    if name == "content":
        made = next((html for code, html in _STYLES.items() if code in style), "span")
    elif name == "list" and element.get("listType") == "ordered":
        made = "ol"
    elif name == "caption":
        made = "caption" if _local(target) == "table" else "b"
    elif name == "linkHtml" and (element.get("href") or "").startswith(_LINKS):
        made = "a"
    if name == "list":  # its caption stands before it: ul holds nothing but li
        for caption in element.iterchildren("{*}caption"):
            _put(caption, target)
    if made is None:
        _copy(element, target)
        return
    inner = etree.SubElement(target, f"{{{XHTML}}}{made}")
    for key, value in element.attrib.items():
        if key in _ATTRIBUTES and value.isdecimal():
            inner.set(key, value)
    if made == "a":
        inner.set("href", element.get("href"))
    if made in _EMPTY:
        return
    if name == "list":
        for item in element.iterchildren("{*}item"):
            _put(item, inner)
    else:
        _copy(element, inner)


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _append(target: Any, text: str | None) -> None:
    if not text:
        return
    if len(target):
        target[-1].tail = (target[-1].tail or "") + text
    else:
        target.text = (target.text or "") + text
