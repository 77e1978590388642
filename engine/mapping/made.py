"""What a mapping runs, made when it is first wanted.

Checking a project needs no closures, and a project has more mappings than routes use.  So a mapping
that was checked together with others is made as a whole by its first message, or before it by
`CompiledMapping.prepare`; see docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.mapping.program import Program
from engine.mapping.runstate import Code, Run
from engine.mapping.tracing import Rule


@dataclass(frozen=True, slots=True)
class Made:
    """The closures of one mapping and of every map that it uses.  Immutable."""

    rules: tuple[Rule, ...]
    """Every line that can write a value."""
    program: Program
    lets: tuple[tuple[int, Code], ...]
    out: Code
    completing: Callable[[Run, Any], Any] | None
    """Adds to the output what it leaves open: entries that are referred to, requests, ids."""


class Making:
    """Makes it when it is asked.  Any thread may ask; two that ask at once may both make it, and
    both get what the first of them has made."""

    __slots__ = ("_kept", "_make", "ready")

    def __init__(self, make: Callable[[], Made] | None, ready: Made | None = None) -> None:
        self._make = make
        self._kept: dict[str, Made] = {}
        self.ready = ready
        """None as long as nobody has wanted it."""

    def made(self) -> Made:
        make = self._make
        if self.ready is None and make is not None:
            self.ready = self._kept.setdefault("made", make())
            self._make = None
        assert self.ready is not None  # noqa: S101 - made above, or by another thread
        return self.ready
