"""What the text of a table looks like: its separator or its widths, its columns, its header."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

LINE_ENDS: Final = {"crlf": "\r\n", "lf": "\n", "cr": "\r"}
SEPARATORS: Final = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}


@dataclass(frozen=True, slots=True)
class Column:
    """``width`` counts characters, 0 in separated values; ``right`` pads before the text."""

    name: str
    width: int = 0
    right: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """With widths the separator is not used.  ``quote`` is empty where nothing is quoted."""

    separator: str = ","
    quote: str = '"'
    header: bool = True
    columns: tuple[Column, ...] = ()
    line_end: str = "\r\n"

    @property
    def fixed(self) -> bool:
        return bool(self.columns) and self.columns[0].width > 0

    def reads_as(self, other: Layout) -> bool:
        """Whether both read every text alike; the end of a line only counts in writing."""
        if self.fixed or other.fixed:
            return (self.columns, self.header) == (other.columns, other.header)
        return replace(self, line_end=other.line_end) == other
