"""Lists: putting together, taking apart, order."""

from __future__ import annotations

from typing import Any

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function
from engine.mapping.values import equal, number_of, text_of

_MAX_ITEMS = 1_000_000


def flat(values: Any) -> list[Any]:
    """The values in one list, missing ones left out.  Raises FunctionError when there are too
    many."""
    found: list[Any] = []
    for value in values:
        if value.__class__ is list:
            found += flat(value)
        elif value is not None:
            found.append(value)
        if len(found) > _MAX_ITEMS:
            raise FunctionError("the list would be too long")
    return found


@function(
    examples=[
        ("flatten([['a'], ['b', 'c']])", ["a", "b", "c"]),
        ("flatten('a')", ["a"]),
        ("flatten([])", None),
    ]
)
def flatten(values: list[Any]) -> list[Any] | None:
    """One list of what lists within lists hold."""
    return flat(values) or None


@function(
    examples=[
        ("unique(['a', 'b', 'a'])", ["a", "b"]),
        ("unique('a')", ["a"]),
        ("unique([])", None),
    ]
)
def unique(values: list[Any]) -> list[Any] | None:
    """Without what came before, in order."""
    seen: set[str] = set()
    found: list[Any] = []
    for value in values:
        key = repr(value)
        if key not in seen:
            seen.add(key)
            found.append(value)
    return found or None


@function(
    examples=[
        ("sort(['b', 'a'])", ["a", "b"]),
        ("sort([3, 1, 2])", [1, 2, 3]),
        ("sort([])", None),
    ]
)
def sort(values: list[Any]) -> list[Any] | None:
    """Numbers by size when all are numbers, otherwise texts by character."""
    if all(value.__class__ is not str for value in values):
        numbers = [number_of(value) for value in values]
        if all(number is not None for number in numbers):
            return sorted(values) or None
    try:
        return sorted(values, key=text_of) or None
    except ValueError:
        raise FunctionError("only texts and numbers have an order") from None


@function(
    examples=[
        ("reverse_list(['a', 'b'])", ["b", "a"]),
        ("reverse_list('a')", ["a"]),
        ("reverse_list([])", None),
    ]
)
def reverse_list(values: list[Any]) -> list[Any] | None:
    """Last first."""
    return values[::-1] or None


@function(
    examples=[
        ("without(['a', 'b'], 'a')", ["b"]),
        ("without(['a'], ['a'])", None),
        ("without(['a'], 'x')", ["a"]),
    ]
)
def without(values: list[Any], unwanted: list[Any]) -> list[Any] | None:
    """The values that are not among the unwanted."""
    return [value for value in values if not equal(unwanted, value)] or None


@function(
    examples=[
        ("take(['a', 'b', 'c'], 2)", ["a", "b"]),
        ("take('a', 2)", ["a"]),
        ("take(['a'], 0)", None),
    ]
)
def take(values: list[Any], number: int) -> list[Any] | None:
    """The first so many."""
    return values[: max(0, number)] or None


@function(
    examples=[
        ("skip(['a', 'b', 'c'], 1)", ["b", "c"]),
        ("skip(['a'], 1)", None),
        ("skip(['a'], 0)", ["a"]),
    ]
)
def skip(values: list[Any], number: int) -> list[Any] | None:
    """All but the first so many."""
    return values[max(0, number) :] or None


@function(
    examples=[
        ("component('a', 1)", "a"),
        ("component('a', 2)", None),
        ("component(first([]), 1)", None),
    ]
)
def component(value: Any, number: int) -> Any:
    """A component, by its number, of what a map has written for HL7 v2; a value without components
    is its own first."""
    if isinstance(value, dict):
        return value.get(number)
    return value if number == 1 else None
