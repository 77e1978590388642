"""What an expression says, before it means anything: immutable trees with offsets into their text.

``start`` and ``end`` are character offsets in the scalar that holds the expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

SEGMENTED: Final = {"hl7v2": 3, "astm": 1}
"""Formats whose paths begin with a segment or record, and how long its name is."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number (int or Decimal), true or false."""

    value: Any
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """``['A01', 'A04']``."""

    items: tuple[Expr, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """``PID`` at the start of a path, in the message or in the group that is being walked."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class GroupName:
    """``ORDER_OBSERVATION`` at the start of a path: groups of the message's structure."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Resources:
    """``Patient``: the resources of a type in the input."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Top:
    """``/`` at the start of a path: the XML document, whose one child is the root element."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Item:
    """``.`` inside ``[…]``: what is being tried."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Name:
    """``.family``, or ``.'any key'``; in XML ``/family`` as well, with a prefix, or ``*``."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """``.@root``."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Number:
    """``-5`` after a segment, ``.1`` after a field."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Index:
    """``[2]``; ``[last]`` is -1."""

    index: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Every:
    """``[*]``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Where:
    """``[.use == 'official']``."""

    test: Expr
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Path:
    """A root and the steps from it.  The root may be any expression: ``($x | resolve).name``."""

    root: Expr
    steps: tuple[Step, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """``name(a, b)``, or ``a | name(b)`` with ``a`` as its first argument."""

    name: str
    arguments: tuple[Expr, ...]
    piped: bool
    start: int  # of the name: what is underlined
    end: int


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Negative:
    operand: Expr
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Required:
    """``x!``."""

    operand: Expr
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Operation:
    """``??``, ``or``, ``and``, a comparison or arithmetic."""

    operator: str
    left: Expr
    right: Expr
    start: int
    end: int


Root: TypeAlias = Segment | GroupName | Variable | Resources | Item | Top
Step: TypeAlias = Name | Attribute | Number | Index | Every | Where
Expr: TypeAlias = Literal | ListOf | Root | Path | Call | Not | Negative | Required | Operation


def children(node: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside, predicates included."""
    match node:
        case Path(root, steps):
            return (root, *(step.test for step in steps if isinstance(step, Where)))
        case ListOf(items):
            return items
        case Call(_, arguments):
            return arguments
        case Not(operand) | Negative(operand) | Required(operand):
            return (operand,)
        case Operation(_, left, right):
            return (left, right)
        case _:
            return ()
