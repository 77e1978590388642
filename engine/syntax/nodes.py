"""A YAML file as it was written: text, lists and mappings, each with its place.

Nodes are immutable; an alias is the very node that its anchor marked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from engine.syntax.position import Position


@dataclass(frozen=True, slots=True)
class Scalar:
    """One text, whatever it looks like: ``no``, ``1.10`` and ``22:22`` are text too.

    ``position`` is that of the first character of the text: after an opening quote, and for a
    block scalar (``|``, ``>``) on the line below.
    """

    text: str
    quoted: bool
    position: Position
    block: bool = False
    widened: tuple[int, ...] = ()  # offsets in ``text`` before which the source has one more char

    @property
    def length(self) -> int:
        """Characters in the source, up to the end of the first line."""
        end = self.text.find("\n")
        end = len(self.text) if end < 0 else end
        return max(1, end + sum(offset <= end for offset in self.widened))

    def at(self, offset: int) -> Position:
        """Where the character ``text[offset]`` stands in the file.

        Exact for a text on one line (escapes in quotes included) and for ``|`` blocks; for
        folded text it is the right line at best.
        """
        if self.block:
            line_start = self.text.rfind("\n", 0, offset) + 1
            lines = self.text.count("\n", 0, offset)
            place = self.position
            return Position(place.file, place.line + lines, place.column + offset - line_start)
        return self.position.shifted(offset + sum(wide <= offset for wide in self.widened))


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    position: Position

    @property
    def length(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Node]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in the order of the file; no key occurs twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    position: Position

    @property
    def length(self) -> int:
        return 1

    def get(self, key: str) -> Node | None:
        for name, value in self.entries:
            if name.text == key:
                return value
        return None

    def key(self, key: str) -> Scalar | None:
        """The key itself, for its position."""
        for name, _ in self.entries:
            if name.text == key:
                return name
        return None

    def keys(self) -> tuple[str, ...]:
        return tuple(name.text for name, _ in self.entries)

    def __contains__(self, key: str) -> bool:
        return self.key(key) is not None

    def __len__(self) -> int:
        return len(self.entries)


Node: TypeAlias = Scalar | Sequence | Mapping
