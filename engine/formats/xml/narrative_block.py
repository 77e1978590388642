"""XHTML as the narrative block of a CDA section (CDA R2 4.3.5): the other way of `narrative_html`.

HTML is read as browsers do, so that a sender's slip loses nothing; what a narrative block has no
element for is looked through, and its text stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final

_INLINE: Final = frozenset({"content", "linkHtml", "sub", "sup", "br"})
_BLOCK: Final = frozenset({"paragraph", "list", "table"})
_FLOW: Final = _INLINE | _BLOCK
_HOLDS: Final[dict[str, frozenset[str]]] = {
    "text": _FLOW,
    "item": _FLOW,
    "td": _FLOW,
    "th": _INLINE,
    "paragraph": _INLINE,
    "caption": _INLINE,
    "content": _INLINE,
    "linkHtml": frozenset(),
    "sub": frozenset(),
    "sup": frozenset(),
    "list": frozenset({"item"}),
    "table": frozenset({"caption", "thead", "tfoot", "tbody"}),
    "thead": frozenset({"tr"}),
    "tfoot": frozenset({"tr"}),
    "tbody": frozenset({"tr"}),
    "tr": frozenset({"td", "th"}),
}
"""Which elements each element may hold (NarrativeBlock.xsd)."""
_NAMES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    **{name: (name, {}) for name in ("sub", "sup", "caption", "thead", "tfoot", "tbody", "tr")},
    **{name: (name, {}) for name in ("td", "th", "table", "br")},
    **{name: ("content", {"@styleCode": "Bold"}) for name in ("b", "strong")},
    **{name: ("content", {"@styleCode": "Italics"}) for name in ("i", "em")},
    **{f"h{level}": ("paragraph", {"@styleCode": "Bold"}) for level in range(1, 7)},
    "u": ("content", {"@styleCode": "Underline"}),
    "span": ("content", {}),
    "p": ("paragraph", {}),
    "ul": ("list", {"@listType": "unordered"}),
    "ol": ("list", {"@listType": "ordered"}),
    "li": ("item", {}),
    "a": ("linkHtml", {}),
}
_VOID: Final = frozenset({"br", "img", "hr", "col", "input", "meta", "link", "wbr"})
_SILENT: Final = frozenset({"script", "style", "head"})
_HOLDS_NO_TEXT: Final = frozenset({"list", "table", "thead", "tfoot", "tbody", "tr"})
_LINKS: Final = ("http://", "https://", "mailto:", "tel:", "#")
_DEEPEST: Final = 100


@dataclass(slots=True)
class _Open:
    """An element that is open: ``tag`` of the HTML, ``name`` and content of what is written."""

    tag: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    content: list[Any] = field(default_factory=list)


class _Block(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [_Open("", "text")]
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self.silent += 1
            return
        name, attributes = _NAMES.get(tag, ("", {}))
        if tag == "br":
            if "br" in _HOLDS[self.open[-1].name]:
                self.open[-1].content.append({"br": {}})
            return
        if tag == "tr" and self.open[-1].name == "table":
            self._begin(_Open("tbody", "tbody"))
        if name not in _HOLDS[self.open[-1].name] or len(self.open) > _DEEPEST:
            return
        given = {key: value for key, value in attrs if value}
        attributes = dict(attributes)
        if name in ("td", "th"):
            for key in ("colspan", "rowspan"):
                if given.get(key, "").isdecimal():
                    attributes[f"@{key}"] = given[key]
        if name == "linkHtml" and given.get("href", "").startswith(_LINKS):
            attributes["@href"] = given["href"]
        self._begin(_Open(tag, name, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self.silent = max(0, self.silent - 1)
        elif any(one.tag == tag for one in self.open[1:]):
            while self._end() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self.silent or (self.open[-1].name in _HOLDS_NO_TEXT and data.isspace()):
            return
        home = next(one for one in reversed(self.open) if one.name not in _HOLDS_NO_TEXT)
        home.content.append(data)

    def finished(self) -> dict[str, Any] | None:
        self.close()
        while len(self.open) > 1:
            self._end()
        content = self.open[0].content
        some = any(not isinstance(part, str) or not part.isspace() for part in content)
        return {"#content": content} if some else None

    def _begin(self, one: _Open) -> None:
        self.open.append(one)

    def _end(self) -> str:
        closed = self.open.pop()
        if closed.content or closed.name in ("td", "th"):
            made = {**closed.attributes, "#content": closed.content}
            self.open[-1].content.append({closed.name: made})
        return closed.tag


def narrative_block(html: str) -> dict[str, Any] | None:
    """The content of a section's ``text`` as a tree of `engine.formats.xml.writing`; None where
    there is nothing to read."""
    reader = _Block()
    reader.feed(html)
    return reader.finished()
