"""Maps are pure: within one run, a map that is asked the same again gives what it gave before.

Units, codes, performers and places repeat in every OBX of a message.  What tells one call from
another is what the map reads: the raw text of a field, the parts of a repetition, of a segment
the fields that the map has paths to.  What a call gave may then stand in the output several times,
so nothing of an output is changed in place once a closure has given it.

Explaining compilations remember nothing: each leaf has its own sources.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from engine.formats.hl7v2 import Segment
from engine.mapping.ast import SEGMENTED, Every, Expr, Number, Path, Variable
from engine.mapping.elements import Component, Repetition
from engine.mapping.runstate import UNREAD, Code, Run
from engine.mapping.scope import MapCode, Scope, Unit

_LONGEST: Final = 2_000
"""Characters of a field that is worth looking up: documents do not repeat."""
_MOST: Final = 8
"""Fields of a segment; whole segments do not repeat either."""
_FIRST: Final = 3
"""MSH-1 and MSH-2 are no usual fields."""

_UNTOLD: Final = object()
"""In the place of an argument that cannot be told from others."""


def field_text(unit: Unit, scope: Scope, node: Expr, *, empty: str | None = None) -> Code | None:
    """The raw text of the field that ``$x.5`` or ``$x.5[*]`` names: ``empty`` when it is empty,
    UNREAD when the variable holds no segment.  None for any other expression."""
    match node:
        case Path(Variable(name), (Number(number), *rest)) if number >= _FIRST:
            binding = scope.find(name)
            if binding is None or unit.trace or unit.format not in SEGMENTED:
                return None
            if not rest or (len(rest) == 1 and isinstance(rest[0], Every)):
                return _field_text(binding.cell, number, empty)
    return None


def _field_text(cell: int, number: int, empty: str | None) -> Code:
    def text_of_field(run: Run) -> Any:
        node = run[cell]
        if node.__class__ is not Segment:
            return UNREAD
        fields = node.fields
        if number >= len(fields):
            return empty
        return fields[number] or empty

    return text_of_field


def by_text(unit: Unit, found: MapCode, text: Code, call: Code, kind: str) -> Code:
    """``call``, which gives the map the field whose raw text ``text`` gives; nothing when that
    gives None.  ``kind`` is the same for calls that make the same of the same text."""
    cell = unit.memory(f"{found.name} {kind}")

    def by_text(run: Run) -> Any:
        asked = text(run)
        if asked is None:
            return None
        known = run[cell]
        if known is None:
            known = run[cell] = {}
        value = known.get(asked, UNREAD)
        if value is UNREAD:
            value = call(run)
            if asked is not UNREAD and len(asked) <= _LONGEST:
                known[asked] = value
        return value

    return by_text


def by_arguments(unit: Unit, found: MapCode, body: Code) -> Code:
    """The map's ``body``, whose arguments are in their cells."""
    cell, asked_of = unit.memory(found.name), question(found)

    def by_arguments(run: Run) -> Any:
        asked = asked_of(run)
        known = run[cell]
        if known is None:
            known = run[cell] = {}
        value = known.get(asked, UNREAD)
        if value is UNREAD:
            value = body(run)
            if asked is not None:
                known[asked] = value
        return value

    return by_arguments


def question(found: MapCode) -> Code:
    """What the map is asked, with its arguments in their cells; None when that cannot be told."""
    if len(found.cells) == 1:
        return _question_of_one(found.cells[0], _fields_of(found.reads_of(0)))
    arguments = tuple(
        (cell, _fields_of(found.reads_of(number)) or _no_fields)
        for number, cell in enumerate(found.cells)
    )

    def several(run: Run) -> Any:
        asked: list[Any] = []
        for cell, fields_of in arguments:
            value = run[cell]
            if value.__class__ is Segment:
                value = fields_of(value.fields)
            elif value.__class__ is not str and value is not None:
                value = _told_of_several(value)
            asked.append(value)
        return None if _UNTOLD in asked else tuple(asked)

    return several


def _no_fields(fields: list[str]) -> Any:
    return _UNTOLD


def _told_of_several(value: Any) -> Any:
    found = _told(value, None)
    return _UNTOLD if found is None else found


def _question_of_one(cell: int, fields_of: Callable[[list[str]], Any] | None) -> Code:
    if fields_of is None:

        def told(run: Run) -> Any:
            value = run[cell]
            return _told(value, None)

        return told

    def one(run: Run) -> Any:
        value = run[cell]
        if value.__class__ is Segment:
            return fields_of(value.fields)
        return _told(value, None)

    return one


def _told(value: Any, fields_of: Callable[[list[str]], Any] | None) -> Any:
    """Something to look an argument up by; None for what is none."""
    kind = value.__class__
    if kind is Segment:
        return None if fields_of is None else fields_of(value.fields)
    if kind is str:
        return value
    if kind is Repetition or kind is Component:
        return (kind, *value)
    if kind is int or kind is bool or value is None:
        return (kind, value)
    return None


def _fields_of(reads: frozenset[int] | None) -> Callable[[list[str]], Any] | None:
    """Takes the fields that a map reads out of a segment's."""
    if reads is None or not reads or len(reads) > _MOST or min(reads) < _FIRST:
        return None
    numbers = tuple(sorted(reads))
    first, length = numbers[0], numbers[-1] + 1
    if length - first <= 2 * len(numbers):  # side by side, or nearly
        return lambda fields: tuple(fields[first:length])
    get = itemgetter(*numbers)

    def fields_of(fields: list[str]) -> Any:
        if length > len(fields):
            fields = [*fields, *[""] * (length - len(fields))]
        return get(fields)

    return fields_of
