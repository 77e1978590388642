"""Marked-up text as plain text: HTML and RTF, which reports and notes come in."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function
from engine.mapping.functions.text import bounded

_BLOCKS_TEXT: Final = """
address article blockquote br caption dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr
li ol p pre section table tbody tfoot thead tr ul
"""
_BLOCKS: Final = frozenset(_BLOCKS_TEXT.split())
_SILENT: Final = frozenset({"script", "style", "head", "title"})


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self.silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append("\t")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self.silent = max(0, self.silent - 1)
        elif tag in _BLOCKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(re.sub(r"\s+", " ", data))


@function(
    examples=[
        ("html_text('<p>Chest: <b>clear</b></p><p>Heart &lt; 10 cm</p>')",
         "Chest: clear\nHeart < 10 cm"),
        ("html_text('a<br/>b')", "a\nb"),
        ("html_text('<script>x()</script>')", None),
    ]
)  # fmt: skip
def html_text(text: str) -> str | None:
    """What a reader of the HTML sees: paragraphs, rows and list items a line each, cells apart by
    a tab, no scripts or styles."""
    reader = _Text()
    reader.feed(text)
    reader.close()
    lines = (re.sub(r" *\t *", "\t", line).strip() for line in "".join(reader.parts).split("\n"))
    return bounded("\n".join(re.sub(r" {2,}", " ", line) for line in lines if line))


@function(
    examples=[
        (r"rtf_text('{\\rtf1\\ansi Chest: {\\b clear}\\par Heart normal}')",
         "Chest: clear\nHeart normal"),
        (r"rtf_text('{\\rtf1\\ansi\\ansicpg936 \\\'d5\\\'c5}')", "张"),
        (r"rtf_text('{\\rtf1 }')", None),
    ]
)  # fmt: skip
def rtf_text(text: str) -> str | None:
    """The text of an RTF document; fails for what is none."""
    from striprtf.striprtf import rtf_to_text

    if not text.lstrip().startswith("{\\rtf"):
        raise FunctionError("no RTF")
    try:
        plain: str = rtf_to_text(text, errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, LookupError):
        raise FunctionError("the RTF cannot be read") from None
    return bounded(plain.strip())
