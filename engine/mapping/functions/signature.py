"""What a mapping function is: a pure Python function whose type hints say what it takes.

Write one like this, in any module, and name the module under the entry point group
``carebus.functions``::

    @function(examples=[("shout('abc')", "ABC!")])
    def shout(text: str) -> str:
        '''The text in capitals, with an exclamation mark.'''
        return text.upper() + "!"

=================  ================================================================================
``str``            the text of the value; numbers and booleans are spelled out
``Decimal``        the number that the value is or spells
``int``            the same, whole
``bool``           true or false
``list[Any]``      all values: one value becomes a list of one
``Any``            the value as it is
``X | None``       the function wants to see a missing value (as None) or NULL
``Pattern``        a regular expression, written as a literal and checked when compiled
``Context``        first parameter only: the run's clock, zone, ids and memo
``*args``          any number of values
=================  ================================================================================

Where a parameter does not accept None, a missing argument makes the result missing and NULL
makes it NULL, without a call.  A function that takes one value and meets a list gives the list of
its results.  It raises `FunctionError` with a text that holds no value.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from engine.contract import MapContext
from engine.mapping.patterns import Pattern
from engine.mapping.runstate import CONTEXT, DOCUMENT, SOURCES, Run

NAME_OF_GROUP: Final = "carebus.functions"


class Kind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    INTEGER = "whole number"
    BOOLEAN = "boolean"
    LIST = "list"
    ANY = "value"
    PATTERN = "pattern"


class Context:
    """What a function may know of the run besides its arguments."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.memo: dict[Any, Any] = {}
        """Kept until the run ends; keys begin with the function's name."""

    @property
    def document(self) -> Any:
        return self._run[DOCUMENT]

    @property
    def _context(self) -> MapContext:
        context: MapContext = self._run[CONTEXT]
        return context

    @property
    def explaining(self) -> bool:
        """Whether somebody wants to know what is read."""
        return self._run[SOURCES] is not None

    def read(self, place: str, value: Any) -> None:
        """Tell that a function has read this besides its arguments."""
        if self._run[SOURCES] is not None:
            self._run[SOURCES].sources.append((place, value))

    @property
    def now(self) -> datetime:
        """The acceptance time, aware."""
        return self._context.now

    @property
    def timezone(self) -> str:
        """The zone of times that name none."""
        return self._context.timezone or "UTC"


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    kind: Kind
    optional: bool = False  # may be left out
    takes_missing: bool = False


@dataclass(frozen=True)
class Function:
    """A function of the mapping language."""

    name: str
    call: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    variadic: bool  # the last parameter repeats
    wants_context: bool
    returns: str
    examples: tuple[tuple[str, Any], ...]
    group: str  # text, dates, …: the module

    @cached_property
    def doc(self) -> str:
        return inspect.getdoc(self.call) or ""

    @cached_property
    def signature(self) -> str:
        """``pad(text, width, fill?)``."""
        names = [p.name + ("?" if p.optional else "") for p in self.parameters]
        if self.variadic:
            names[-1] += "…"
        return f"{self.name}({', '.join(names)})"

    @property
    def least(self) -> int:
        """Arguments that must be given."""
        return sum(1 for p in self.parameters if not p.optional) - (1 if self.variadic else 0)

    @property
    def most(self) -> int | None:
        """Arguments that may be given; None: any number."""
        return None if self.variadic else len(self.parameters)


def function(
    *, examples: Sequence[tuple[str, Any]], name: str | None = None
) -> Callable[[Callable[..., Any]], Function]:
    """Make a Python function one of the mapping language.  Raises TypeError for a parameter
    without a usable type hint, a function without docstring, or no examples."""

    def register(call: Callable[..., Any]) -> Function:
        return _function(call, name or call.__name__.rstrip("_"), tuple(examples))

    return register


_KINDS: Final[dict[Any, Kind]] = {
    str: Kind.TEXT,
    Decimal: Kind.NUMBER,
    int: Kind.INTEGER,
    bool: Kind.BOOLEAN,
    Any: Kind.ANY,
    Pattern: Kind.PATTERN,
    list[Any]: Kind.LIST,
}


def _function(
    call: Callable[..., Any], name: str, examples: tuple[tuple[str, Any], ...]
) -> Function:
    if not call.__doc__ or not examples:
        raise TypeError(f"{name}: a mapping function has a docstring and examples")
    hints = typing.get_type_hints(call)
    parameters: list[Parameter] = []
    wants_context = variadic = False
    for position, (key, parameter) in enumerate(inspect.signature(call).parameters.items()):
        hint = hints.get(key)
        if hint is Context and position == 0:
            wants_context = True
            continue
        takes_missing = False
        if isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint):
            takes_missing = True
            rest = [part for part in typing.get_args(hint) if part is not type(None)]
            hint = rest[0] if len(rest) == 1 else hint
        kind = _KINDS.get(hint)
        if kind is None or parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"{name}: parameter {key} has no usable type hint")
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            variadic = True
        optional = parameter.default is not inspect.Parameter.empty
        parameters.append(Parameter(key, kind, optional, takes_missing))
    returned = hints.get("return", Any)
    group = call.__module__.rpartition(".")[2]
    return Function(
        name,
        call,
        tuple(parameters),
        variadic,
        wants_context,
        getattr(returned, "__name__", str(returned)),
        examples,
        group,
    )
