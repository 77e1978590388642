"""Everything that is wrong, collected: one look at a file reports all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engine.syntax.code import Severity
from engine.syntax.codes import CODES
from engine.syntax.position import Position

if TYPE_CHECKING:
    from engine.syntax.nodes import Node

_NULL: Final = "Y108"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """``message`` is lower case without a full stop; ``help`` says what to write instead."""

    code: str
    severity: Severity
    message: str
    position: Position
    length: int = 1  # characters underlined from ``position`` on
    help: str | None = None

    def __str__(self) -> str:
        return f"{self.position}: {self.severity}[{self.code}]: {self.message}"


class Diagnostics:
    """A list that grows.  Used by one reader or compiler at a time."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[Diagnostic] = []

    def add(
        self,
        code: str,
        position: Position,
        message: str,
        *,
        length: int = 1,
        help: str | None = None,
    ) -> None:
        """The severity is the code table's.  Raises KeyError for a code that is not in it."""
        severity = CODES[code].severity
        self._items.append(Diagnostic(code, severity, message, position, max(1, length), help))

    def at(self, code: str, node: Node, message: str, *, help: str | None = None) -> None:
        """`add` for a whole node: its first line is underlined."""
        self.add(code, node.position, message, length=node.length, help=help)

    def repeat(self, found: Diagnostic) -> None:
        """What another compiler has found."""
        self._items.append(found)

    def extend(self, other: Diagnostics) -> None:
        self._items.extend(other._items)

    @property
    def items(self) -> tuple[Diagnostic, ...]:
        """In the order of files, lines and columns; what is said twice is listed once.  Where a
        null stands, nothing else is said of the text that it is taken for."""
        nulls = {found.position for found in self._items if found.code == _NULL}
        told = (one for one in self._items if one.code == _NULL or one.position not in nulls)
        return tuple(sorted(dict.fromkeys(told), key=lambda found: found.position))

    @property
    def has_errors(self) -> bool:
        return any(found.severity is Severity.ERROR for found in self._items)

    def __len__(self) -> int:
        return len(self._items)
