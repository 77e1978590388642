"""What a mapping says of a delimited source or target: separator, quote, header, columns."""

from __future__ import annotations

from typing import Final

from engine.formats.delimited import Column, Layout
from engine.formats.delimited.layout import LINE_ENDS, SEPARATORS
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

LAYOUT_KEYS: Final = ("separator", "quote", "header", "columns", "line_end")
_COLUMN: Final = ("name", "width", "align")


def read_layout(side: Node | None, format: str | None, diagnostics: Diagnostics) -> Layout:
    """The layout that ``from:`` or ``to:`` describes; a wrong part is a diagnostic (M154)."""
    if not isinstance(side, Mapping):
        return Layout()
    given = {key.text: node for key, node in side.entries if key.text in LAYOUT_KEYS}
    if format != "delimited":
        for name, node in given.items():
            diagnostics.at("M154", node, f"'{name}' belongs to the format delimited")
        return Layout()
    columns = _columns(given.get("columns"), diagnostics)
    header = _flag(given.get("header"), not (columns and columns[0].width), diagnostics)
    separator = _character(given.get("separator"), ",", SEPARATORS, diagnostics)
    quote = _character(given.get("quote"), '"', {"none": ""}, diagnostics)
    line_end = given.get("line_end")
    end = "\r\n"
    if isinstance(line_end, Scalar) and line_end.text in LINE_ENDS:
        end = LINE_ENDS[line_end.text]
    elif line_end is not None:
        diagnostics.at("M154", line_end, "'line_end' is crlf, lf or cr")
    return Layout(separator, quote, header, columns, end)


def _flag(node: Node | None, usual: bool, diagnostics: Diagnostics) -> bool:
    if node is None:
        return usual
    if isinstance(node, Scalar) and node.text in ("true", "false"):
        return node.text == "true"
    diagnostics.at("M154", node, "'header' is true or false")
    return usual


def _character(
    node: Node | None, usual: str, names: dict[str, str], diagnostics: Diagnostics
) -> str:
    if node is None:
        return usual
    text = node.text if isinstance(node, Scalar) else ""
    if text in names:
        return names[text]
    if len(text) == 1 and not text.isalnum() and text not in "\r\n":
        return text
    diagnostics.at(
        "M154", node, "one character is wanted", help=f"such as ';', or {', '.join(names)}"
    )
    return usual


def _columns(node: Node | None, diagnostics: Diagnostics) -> tuple[Column, ...]:
    """Names, or objects with a name and a width."""
    if node is None:
        return ()
    found: list[Column] = []
    for item in node.items if isinstance(node, Sequence) else (node,):
        column = _column(item, diagnostics)
        if column is None:
            return ()
        if any(known.name == column.name for known in found):
            diagnostics.at("M154", item, f"two columns are called '{column.name}'")
        found.append(column)
    if any(bool(column.width) is not bool(found[0].width) for column in found):
        diagnostics.at("M154", node, "either every column has a width, or none")
    return tuple(found)


def _column(item: Node, diagnostics: Diagnostics) -> Column | None:
    if isinstance(item, Scalar):
        return Column(item.text)
    if not isinstance(item, Mapping):
        diagnostics.at("M154", item, "'columns' is a list of names", help="columns: [id, name]")
        return None
    for key, _ in item.entries:
        if key.text not in _COLUMN:
            diagnostics.at("M154", key, f"unknown key '{key.text}' of a column",
                           help=did_you_mean(key.text, _COLUMN))  # fmt: skip
    name, width, align = (item.get(key) for key in _COLUMN)
    digits = width.text if isinstance(width, Scalar) else ""
    if not isinstance(name, Scalar) or not digits.isascii() or not digits.isdecimal():
        diagnostics.at("M154", item, "a column has a name and a width", help="{name: id, width: 8}")
        return None
    right = isinstance(align, Scalar) and align.text == "right"
    return Column(name.text, min(max(int(digits[:6]), 1), 100_000), right)
