"""The state of one run: a plain list, because indexing a list is the cheapest thing Python does.

The first cells are fixed (below); the compiler gives every variable, map argument and hoisted
segment a cell of its own behind them.  That works because maps do not recurse: each cell has one
owner at a time.  A run belongs to one call and is never shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from engine.contract import MappingError
from engine.mapping.failures import failed

Run: TypeAlias = list[Any]
Code: TypeAlias = Callable[[Run], Any]
"""A compiled expression or output node: a closure from a run to a value; None is missing."""

DOCUMENT: Final = 0
CONTEXT: Final = 1
ESCAPE: Final = 2  # of HL7 v2, as the message declares them
REPETITION: Final = 3
COMPONENT: Final = 4
SUBCOMPONENT: Final = 5
UNESCAPE: Final = 6
MEMO: Final = 7  # what functions keep for the rest of the run, by function and arguments
STEPS: Final = 8  # iterations and map calls that are left
SOURCES: Final = 9  # explaining only: what the leaf being computed has read
UNMAPPED: Final = 10  # the code that a table does not know
ENTRIES: Final = 11  # the resources that something refers to; None: no reference yet
ACCOUNT: Final = 12  # for a ledger only: which leaves of the source were read
FIRST_FREE: Final = 13

MAX_STEPS: Final = 2_000_000
MAX_TEXT: Final = 32 * 1024 * 1024
"""Characters of a text that functions put together; what came in with the message may be longer."""

NOTHING: Final[list[str]] = []
"""The fields of a segment that is not there.  Never written to."""


def too_many_steps(where: str) -> MappingError:
    return failed("R305", where, "this mapping takes too many steps")


UNREAD: Final = object()
"""In the cell of a path that is read more than once: not read in this run or turn yet."""


class Layout:
    """Gives out cells while a mapping is compiled."""

    def __init__(self) -> None:
        self._blank: Run = [None] * FIRST_FREE
        self._blank[STEPS] = MAX_STEPS

    def cell(self, initial: Any = None) -> int:
        """A new cell, with its value at the start of every run."""
        self._blank.append(initial)
        return len(self._blank) - 1

    def blank(self) -> Run:
        return self._blank
