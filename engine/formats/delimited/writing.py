"""Rows to the text of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.contract import FormatError, Stage
from engine.formats.delimited.layout import Column, Layout
from engine.formats.errors import format_error
from engine.formats.null import Null
from engine.formats.scalars import scalar_text


def write_rows(tree: Any, layout: Layout) -> str:
    """``{rows: […]}``, or the rows themselves: objects by column, or lists of cells.

    Columns that the layout does not name are those of the rows, in the order of their first use.
    Raises FormatError: DELIMITED-TREE; DELIMITED-WIDTH for a text that is wider than its column.
    """
    rows = tree.get("rows") if isinstance(tree, Mapping) else tree
    if isinstance(tree, Mapping) and rows is None:
        rows = [tree]
    if not isinstance(rows, list) or not all(isinstance(row, Mapping | list) for row in rows):
        raise _wrong("the output is a list of rows")
    columns = layout.columns or _columns(rows)
    known = {column.name for column in columns}
    lines: list[str] = []
    if layout.header and columns:
        lines.append(_line([column.name for column in columns], columns, layout))
    for row in rows:
        if isinstance(row, list):
            cells = [_text(cell) for cell in row]
        else:
            if not known.issuperset(map(str, row)):
                raise _wrong("a row has a column that is not listed")
            named = {str(name): cell for name, cell in row.items()}
            cells = [_text(named.get(column.name)) for column in columns]
        lines.append(_line(cells, columns, layout))
    return "".join(line + layout.line_end for line in lines)


def _columns(rows: list[Any]) -> tuple[Column, ...]:
    names: dict[str, None] = {}
    for row in rows:
        if isinstance(row, Mapping):
            names.update(dict.fromkeys(map(str, row)))
    return tuple(map(Column, names))


def _line(cells: list[str], columns: tuple[Column, ...], layout: Layout) -> str:
    if not layout.fixed:
        return layout.separator.join(_quoted(cell, layout) for cell in cells)
    if len(cells) > len(columns):
        raise _wrong("a row has more cells than columns are listed")
    pieces: list[str] = []
    for column, cell in zip(columns, cells, strict=False):
        if len(cell) > column.width:
            raise format_error(
                "DELIMITED-WIDTH",
                f"a text is wider than the {column.width} characters of column {column.name}",
                stage=Stage.MAPPING,
            )
        if "\n" in cell or "\r" in cell:
            raise _wrong("a line break cannot stand in a column of fixed width")
        pieces.append(cell.rjust(column.width) if column.right else cell.ljust(column.width))
    return "".join(pieces)


def _quoted(cell: str, layout: Layout) -> str:
    special = layout.separator in cell or "\n" in cell or "\r" in cell or cell != cell.strip()
    if not layout.quote:
        if special:
            raise _wrong("a text holds the separator or a line break, and nothing is quoted")
        return cell
    if special or layout.quote in cell:
        return f"{layout.quote}{cell.replace(layout.quote, layout.quote * 2)}{layout.quote}"
    return cell


def _text(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = "" if value is None or isinstance(value, Null) else scalar_text(value)
    if text is None:
        raise _wrong("a cell is a single text")
    return text


def _wrong(summary: str) -> FormatError:
    return format_error("DELIMITED-TREE", summary, stage=Stage.MAPPING)
