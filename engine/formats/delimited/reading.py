"""The rows of a table, each with its cells by the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from engine.formats.delimited.layout import Layout
from engine.formats.errors import format_error


def read_rows(text: str, layout: Layout) -> list[dict[str, str]]:
    """Cells without a name are called by their number.  Blank lines are no rows.

    Raises FormatError (DELIMITED-SYNTAX) with the line, never with what stands there.
    """
    lines = _fixed(text, layout) if layout.fixed else _separated(text, layout)
    names = [column.name for column in layout.columns]
    if layout.header:
        first = next(lines, [])
        names = names or _unique([name.strip() for name in first])
    rows: list[dict[str, str]] = []
    for cells in lines:
        if len(cells) > len(names):
            names += [str(number) for number in range(len(names) + 1, len(cells) + 1)]
        rows.append(dict(zip(names, cells, strict=False)))
    return rows


def _unique(names: list[str]) -> list[str]:
    """A second column of a name is ``name_2``; one without a name has its number."""
    found: list[str] = []
    for number, name in enumerate(names, start=1):
        wanted = name or str(number)
        again = 1
        while wanted in found:
            again += 1
            wanted = f"{name}_{again}"
        found.append(wanted)
    return found


def _separated(text: str, layout: Layout) -> Iterator[list[str]]:
    pattern = _cells(layout.separator, layout.quote)
    quote = layout.quote
    at, line, length = 0, 1, len(text)
    cells: list[str] = []
    while at < length:
        found = pattern.match(text, at)
        if found is None:
            raise format_error("DELIMITED-SYNTAX", f"line {line}: a quoted cell is not closed")
        quoted, plain, end = found.groups()
        cells.append(plain if quoted is None else quoted.replace(quote * 2, quote))
        at = found.end()
        if quoted is not None:
            line += quoted.count("\n")
        if end == layout.separator and at < length:
            continue
        if end == layout.separator:
            cells.append("")
        line += 1
        if len(cells) > 1 or cells[0].strip():
            yield cells
        cells = []


@lru_cache(maxsize=64)
def _cells(separator: str, quote: str) -> re.Pattern[str]:
    """One cell and what ends it.  A quote within a cell that is not quoted is a character."""
    mark, end = re.escape(separator), re.escape(separator) + r"|\r\n|\n|\r|\Z"
    if not quote:
        return re.compile(rf"(\0\0)?([^{mark}\r\n]*)({end})")
    q = re.escape(quote)
    quoted = rf"{q}((?:[^{q}]+|{q}{q})*+){q}"
    return re.compile(rf"(?:{quoted}|((?!{q})[^{mark}\r\n]*))({end})")


def _fixed(text: str, layout: Layout) -> Iterator[list[str]]:
    for line in re.split(r"\r\n|\n|\r", text):
        if not line.strip():
            continue
        cells: list[str] = []
        at = 0
        for column in layout.columns:
            cells.append(line[at : at + column.width].strip())
            at += column.width
        yield cells
