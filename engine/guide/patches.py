"""How the guide's rows are mended: a patch finds rows, and changes them or leaves them out.

`slips` holds what is mistyped, `choices` what the guide leaves open.  A patch that finds nothing
is an error, so that the lists never outlive the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from engine.guide.rows import GuideMap, Row


@dataclass(frozen=True, slots=True)
class Patch:
    """Rows of the maps ``maps`` (``CX*``, by the name in the mapping language) whose source fits
    ``source`` and whose target and narrative hold ``target`` and ``narrative``.

    ``change``: (field, what is replaced, by what); replacing ``""`` sets the field.
    """

    maps: str
    source: str
    target: str
    reason: str
    change: tuple[tuple[str, str, str], ...] = ()
    leave: bool = False
    narrative: str = ""
    assigned: str = ""

    def fits(self, name: str, row: Row) -> bool:
        return (
            fnmatchcase(name, self.maps)
            and fnmatchcase(row.source, self.source)
            and self.target in row.target
            and self.narrative in row.narrative
            and self.assigned in row.assignment
            and all(not old or old in getattr(row, field) for field, old, _ in self.change)
        )

    def applied(self, row: Row) -> Row:
        for field, old, new in self.change:
            text: str = getattr(row, field)
            changed: dict[str, Any] = {field: text.replace(old, new) if old else new}
            row = replace(row, **changed)
        return row


@dataclass(frozen=True, slots=True)
class Left:
    """A row that is not compiled, and why."""

    row: Row
    reason: str


class PatchError(ValueError):
    """A patch that finds no row."""


def slip(maps: str, source: str, field: str, old: str, new: str, target: str = "") -> Patch:
    """A slip of the pen in ``field``."""
    return Patch(maps, source, target, "mistyped", ((field, old, new),))


def leave(
    maps: str, source: str, target: str, reason: str, narrative: str = "", assigned: str = ""
) -> Patch:
    """Rows that are left out; ``assigned``: only those that assign this."""
    return Patch(maps, source, target, reason, (), True, narrative, assigned)


def choose(
    maps: str, source: str, target: str, reason: str, narrative: str = "", /, **fields: str
) -> Patch:
    """Fields of a row as they are decided."""
    changes = tuple((field, "", text) for field, text in fields.items())
    return Patch(maps, source, target, reason, changes, narrative=narrative)


class Patches:
    """Patches in their order.  `unused` are those that have found nothing so far."""

    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches
        self._used: set[int] = set()

    @property
    def unused(self) -> list[Patch]:
        return [p for number, p in enumerate(self._patches) if number not in self._used]

    def mend(self, map: GuideMap) -> tuple[list[Row], list[Left]]:
        """The rows of a map as they are meant, and those that are left out."""
        kept: list[Row] = []
        left: list[Left] = []
        for row in map.rows:
            found = self._mended(map.name, row)
            if isinstance(found, Left):
                left.append(found)
            else:
                kept.append(found)
        return kept, left

    def _mended(self, name: str, row: Row) -> Row | Left:
        for number, patch in enumerate(self._patches):
            if patch.fits(name, row):
                self._used.add(number)
                if patch.leave:
                    return Left(row, patch.reason)
                row = patch.applied(row)
        return row
