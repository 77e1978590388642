"""Values that know which leaf of the source they are, for the ledger of a run.

An instrumented run (`engine.mapping.tracing`) may be given a document whose texts are `Placed`.
Splitting a placed text gives placed parts; where a path's value leaves the source it becomes the
plain value again, and the `Account` of the run takes down its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from engine.formats.xml import Element, place_of
from engine.mapping.runstate import ACCOUNT, Code, Run


class Span(NamedTuple):
    """Characters of one field, by the field's number in the message: the leaves in it were read."""

    field: int
    start: int
    end: int


Place: TypeAlias = Span | str
"""A part of an HL7 v2 field; of a tree or XML document the leaf's own path."""


class Placed(str):
    """A text of the source: its leaf's path, or for HL7 v2 the number of its field, where in it
    the text begins and how long it is there, with its escapes."""

    __slots__ = ("field", "length", "start")

    field: int | str
    start: int
    length: int

    @classmethod
    def of(cls, text: str, field: int | str, start: int = 0, length: int | None = None) -> Placed:
        made = cls(text)
        made.field, made.start = field, start
        made.length = len(text) if length is None else length
        return made

    @property
    def place(self) -> Place:
        if isinstance(self.field, str):
            return self.field
        return Span(self.field, self.start, self.start + self.length)

    def split(self, sep: str | None = None, maxsplit: int = -1) -> list[str]:  # type: ignore[override]
        parts = str.split(self, sep, maxsplit)
        if sep is None:
            return parts
        at, step, placed = self.start, len(sep), []
        for part in parts:
            placed.append(Placed.of(part, self.field, at))
            at += len(part) + step
        return list(placed)

    def partition(self, sep: str) -> tuple[str, str, str]:
        before, found, after = str.partition(self, sep)
        behind = self.start + len(before) + len(found)
        return (
            Placed.of(before, self.field, self.start),
            found,
            Placed.of(after, self.field, behind),
        )


class PlacedInt(int):
    place: str


class PlacedDecimal(Decimal):
    place: str


class PlacedBool(int):
    place: str


class Account:
    """What a run has read: ``now`` for the rule at work, ``tested`` by conditions and by what
    gave no output, ``behind`` each variable that holds something computed."""

    __slots__ = ("behind", "now", "tested")

    def __init__(self) -> None:
        self.tested: list[Place] = []
        self.now = self.tested
        self.behind: dict[int, list[Place]] = {}

    @contextmanager
    def own(self) -> Iterator[list[Place]]:
        """What is read inside goes to a list of its own."""
        kept, self.now = self.now, []
        try:
            yield self.now
        finally:
            self.now = kept


def lifted(value: Any, places: list[Place]) -> Any:
    """The plain value, at any depth; the places of its leaves are added to ``places``."""
    kind = value.__class__
    if kind is Placed:
        places.append(value.place)
        return str(value)
    if kind is list:
        return [lifted(item, places) for item in value]
    if kind is dict:
        return {key: lifted(item, places) for key, item in value.items()}
    if kind is PlacedDecimal:
        places.append(value.place)
        return Decimal(value)
    if kind is PlacedInt or kind is PlacedBool:
        places.append(value.place)
        return bool(value) if kind is PlacedBool else int(value)
    return value


def note(value: Any, places: list[Place]) -> None:
    """Take down every leaf inside a node: a repetition, an element, an object, a list of them."""
    if value.__class__ is Element:
        places += map(place_of, value.iter("*"))
    elif isinstance(value, list):
        for item in value:
            note(item, places)
    else:
        lifted(value, places)


def filling(cell: int, code: Code) -> Code:
    """For a variable: what was read for its value stands behind it, whoever reads it later."""

    def fill(run: Run) -> Any:
        account: Account | None = run[ACCOUNT]
        if account is None:
            return code(run)
        with account.own() as places:
            value = code(run)
        # Once each: variables that are made of variables would hold more with every step.
        account.behind[cell] = list(dict.fromkeys(places))
        account.tested += account.behind[cell]
        return value

    return fill


def testing(code: Code) -> Code:
    """What a condition reads is tested, also inside a rule."""

    def tested(run: Run) -> Any:
        account: Account | None = run[ACCOUNT]
        if account is None:
            return code(run)
        with account.own() as places:
            value = code(run)
        account.tested += places
        return value

    return tested


def noting(code: Code, *, tested: bool, whole: Callable[[Run, Any], Any] | None = None) -> Code:
    """Takes down what a node holds, or what ``whole`` makes of it."""

    def noted(run: Run) -> Any:
        value = code(run)
        account: Account | None = run[ACCOUNT]
        if account is not None and value is not None:
            note(
                value if whole is None else whole(run, value),
                account.tested if tested else account.now,
            )
        return value

    return noted
