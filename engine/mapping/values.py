"""What values are, once a path has been read: text, int, Decimal, bool, list, dict, NULL, None.

None is *missing*.  NULL is HL7's explicit ``""`` (and JSON's null): a value that is neither
text nor equal to anything.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from engine.formats.hl7v2 import Segment
from engine.formats.null import NULL
from engine.formats.xml import Element, direct_text
from engine.mapping.elements import GROUPS, Component, Repetition, component_leaf
from engine.mapping.runstate import Run

PLAIN = frozenset({str, int, Decimal, bool, type(None), dict})
"""The classes of values that need no decoding."""


class NotText(ValueError):
    """A segment or a group where a value is wanted."""


def leaf(run: Run, node: Any) -> Any:
    """A node as a value: HL7 parts and XML elements become text, lists lose what is missing.

    Raises NotText.
    """
    kind = node.__class__
    if kind in PLAIN or node is NULL:
        return node
    if kind is Repetition or kind is Component:
        return component_leaf(run, node[0]) if node else None
    if kind is list:
        return [value for value in [leaf(run, item) for item in node] if value is not None] or None
    if kind is Element:
        return direct_text(node)
    if kind is Segment or kind in GROUPS:
        raise NotText("a segment is not a value: name one of its fields")
    return node


def is_element(value: Any) -> bool:
    """An XML element, or a list of them: there, whatever it holds."""
    return value.__class__ is Element or (
        value.__class__ is list and bool(value) and value[0].__class__ is Element
    )


def truth(value: Any) -> bool:
    """Missing, NULL, false, 0, and an empty list are not true; every text is."""
    return (
        value is not None
        and value is not NULL
        and value is not False
        and value != 0
        and (value.__class__ is not list or bool(value))
    )


def text_of(value: Any) -> str:
    """The text of a value that is there.  Raises NotText for an object."""
    if value.__class__ is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 1000 else str(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list) and len(value) == 1:
        return text_of(value[0])
    raise NotText("a single text is wanted")


def number_of(value: Any) -> int | Decimal | None:
    """The number a value is or spells, or None when it does not; never NaN or infinity."""
    if value.__class__ is int or value.__class__ is Decimal:
        return value
    if value.__class__ is not str or len(value) > 64:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > 1000 or "_" in value:
        return None
    return number


def equal(left: Any, right: Any) -> bool:
    """Two-valued: what is missing or NULL equals nothing; text equals a number it spells; a list
    equals what one of its items equals."""
    if left is None or right is None or left is NULL or right is NULL:
        return False
    if left.__class__ is list:
        return any(equal(item, right) for item in left)
    if right.__class__ is list:
        return any(equal(left, item) for item in right)
    if left.__class__ is right.__class__:
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return bool(_spelled(left) == _spelled(right))
    if isinstance(left, dict) or isinstance(right, dict):
        return False
    first, second = number_of(left), number_of(right)
    return first is not None and second is not None and first == second


def less(left: Any, right: Any) -> bool:
    """``left < right``: numbers by size when one side is a number, else text by code point."""
    if left.__class__ is str and right.__class__ is str:
        return bool(left < right)
    first, second = number_of(left), number_of(right)
    return first is not None and second is not None and first < second


def _spelled(value: Any) -> Any:
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
