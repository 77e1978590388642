"""Operators as closures over compiled operands; what is constant is computed now."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from engine.formats.null import NULL
from engine.mapping.closures import Compiled, constant
from engine.mapping.runstate import Run
from engine.mapping.values import equal, less


def list_of(items: list[Compiled]) -> Compiled:
    if all(item.constant for item in items):
        return constant([item.value for item in items if item.value is not None])
    codes = tuple(item.code for item in items)

    def listed(run: Run) -> Any:
        values = []
        for code in codes:
            value = code(run)
            if value is not None:
                values.append(value)
        return values or None

    return Compiled(listed)


def otherwise(left: Compiled, right: Compiled) -> Compiled:
    if left.constant:
        return right if left.value is None else left
    first, second = left.code, right.code
    if right.constant:
        fixed = right.value

        def fallback(run: Run) -> Any:
            value = first(run)
            return fixed if value is None else value

        return Compiled(fallback)

    def otherwise(run: Run) -> Any:
        value = first(run)
        return second(run) if value is None else value

    return Compiled(otherwise)


def logic(operator: str, left: Compiled, right: Compiled) -> Compiled:
    first, second = left.code, right.code
    if left.constant:
        return right if left.value is (operator == "and") else constant(operator == "or")
    if operator == "and":

        def both(run: Run) -> Any:
            found = first(run)
            if found:
                return second(run)
            return found

        return Compiled(both)

    def either(run: Run) -> Any:
        found = first(run)
        if found:
            return found
        return second(run)

    return Compiled(either)


def equality(first: Compiled, second: Compiled) -> Compiled:
    if first.constant and second.constant:
        return constant(equal(first.value, second.value))
    if first.constant:
        first, second = second, first
    left, right = first.code, second.code
    if second.constant and isinstance(second.value, str):
        text = second.value

        def is_text(run: Run) -> bool:
            value = left(run)
            return value == text if value.__class__ is str else equal(value, text)

        return Compiled(is_text)

    if second.constant and second.value.__class__ is int:
        number = second.value

        def is_number(run: Run) -> bool:
            value = left(run)
            return bool(value == number) if value.__class__ is int else equal(value, number)

        return Compiled(is_number)

    def same(run: Run) -> bool:
        one = left(run)
        other = right(run)
        return equal(one, other)

    return Compiled(same)


def membership(operator: str, first: Compiled, second: Compiled) -> Compiled:
    wanted = operator == "in"
    left, right = first.code, second.code
    items = second.value if second.constant else None
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        texts = frozenset(items)

        def among(run: Run) -> bool:
            value = left(run)
            if value.__class__ is str:
                return (value in texts) is wanted
            return equal(value, items) is wanted

        return Compiled(among)

    def found(run: Run) -> bool:
        value = left(run)
        among = right(run)
        return equal(value, among) is wanted

    return Compiled(found)


def ordered(low: Any, high: Any, strict: bool) -> bool:
    if low is None or high is None or low is NULL or high is NULL:
        return False
    return less(low, high) or (not strict and equal(low, high))


COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})
ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": lambda a, b: _narrow(Decimal(a) + Decimal(b), a, b),
    "-": lambda a, b: _narrow(Decimal(a) - Decimal(b), a, b),
    "*": lambda a, b: _narrow(Decimal(a) * Decimal(b), a, b),
    "/": lambda a, b: _shortest(Decimal(a) / Decimal(b)),
}


def _narrow(result: Decimal, a: Any, b: Any) -> int | Decimal:
    """Whole numbers stay whole while they are exact."""
    if isinstance(a, int) and isinstance(b, int) and result == result.to_integral_value():
        return int(result) if abs(result.adjusted()) < 40 else result
    return result


def _shortest(result: Decimal) -> int | Decimal:
    """At most 28 digits, and a whole result without a point."""
    whole = result.to_integral_value()
    if result == whole and abs(result.adjusted()) < 28:
        return int(whole)
    return Decimal(format(result, ".28g"))
