"""The text that elements hold, and the readable place of an element in its document."""

from __future__ import annotations

import re
from typing import Any, Final

from lxml import etree

_SPACES: Final = re.compile(r"\s+")
_RUNS: Final = re.compile(r" {2,}")
_BREAKS: Final = re.compile(r" *\n[ \n]*")
_LINES_TEXT: Final = """
br caption div footnote item li list ol p paragraph table tbody tfoot thead title tr ul
"""
_LINES: Final = frozenset(_LINES_TEXT.split())
"""Elements of CDA's narrative block (CDA R2 4.3.5) and of XHTML that begin a line of their own."""


def direct_text(element: Any) -> str | None:
    """The text directly in an element, without the spaces around it; None where there is none."""
    text = element.text
    if len(element):
        text = "".join([text or "", *[child.tail or "" for child in element]])
    return None if text is None else text.strip() or None


def text_inside(element: Any) -> str | None:
    """All text within an element in reading order: spaces run together, a line for each paragraph,
    row and item; None where there is none."""
    if not len(element):
        return direct_text(element)
    pieces: list[str] = []
    spaced: list[bool] = []  # whether an element holds nothing but elements, which are words then
    for event, inner in etree.iterwalk(element, events=("start", "end")):
        tag = inner.tag
        line = isinstance(tag, str) and tag.rpartition("}")[2] in _LINES
        if event == "start":
            if inner is not element:
                pieces.append("\n" if line else " " if spaced[-1] else "")
            spaced.append(bool(len(inner)) and direct_text(inner) is None)
            pieces.append(_SPACES.sub(" ", inner.text or ""))
        else:
            spaced.pop()
            if inner is not element:
                pieces.append("\n" if line else "")
                pieces.append(_SPACES.sub(" ", inner.tail or ""))
    text = _RUNS.sub(" ", "".join(pieces))
    return _BREAKS.sub("\n", text).strip() or None


def place_of(element: Any) -> str:
    """``/ClinicalDocument/component/section[3]/code``: a position wherever a name repeats."""
    steps: list[str] = []
    node = element
    while node is not None:
        steps.append(_shown(node) + _position(node))
        node = node.getparent()
    return "/" + "/".join(reversed(steps))


def _shown(element: Any) -> str:
    local = str(element.tag).rpartition("}")[2]
    return f"{element.prefix}:{local}" if element.prefix else local


def _position(element: Any) -> str:
    tag = element.tag
    before = sum(1 for _ in element.itersiblings(tag, preceding=True))
    if before == 0 and next(element.itersiblings(tag), None) is None:
        return ""
    return f"[{before + 1}]"
