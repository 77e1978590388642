"""A place in a configuration file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Line and column count from 1, in characters; ``str()`` is what editors jump to."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def shifted(self, columns: int) -> Position:
        """The place so many columns further on the same line."""
        return Position(self.file, self.line, self.column + columns)
