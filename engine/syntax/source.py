"""Offsets, lines and columns of a source text; lines end with LF, CRLF or CR, and nothing else."""

from __future__ import annotations

import re
from typing import Final

from engine.syntax.position import Position

_LINE_END: Final = re.compile("\r\n|\r|\n")


def lines_of(text: str) -> list[str]:
    """Without their line ends."""
    return _LINE_END.split(text)


def place_of(text: str, offset: int, file: str) -> Position:
    """The line and column of ``text[offset]``."""
    line, start = 1, 0
    for end in _LINE_END.finditer(text, 0, offset):
        line, start = line + 1, end.end()
    return Position(file, line, offset - start + 1)


def offset_of(text: str, place: Position) -> int:
    """The inverse of `place_of`; the end of the text when there is no such place."""
    start = 0
    for _ in range(place.line - 1):
        end = _LINE_END.search(text, start)
        if end is None:
            return len(text)
        start = end.end()
    return min(start + place.column - 1, len(text))
