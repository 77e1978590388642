"""What an instrumented mapping carries along: which rule wrote a value, and what it had read.

An instrumented mapping is the same closures with `Traced` values at the leaves; `explain` takes
them off again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.syntax import Position

Sources: TypeAlias = list[tuple[str, Any]]
"""Paths with the values that were found there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a mapping that can write a value; ``path`` is its place in the file's tree."""

    path: str
    position: Position


class Traced:
    """A value of the output with its history."""

    __slots__ = ("rule", "sources", "value")

    def __init__(self, value: Any, rule: Rule, sources: Sources) -> None:
        self.value, self.rule, self.sources = value, rule, sources


def traced_value(value: Any, rule: Rule, sources: Sources) -> Any:
    """The value with every leaf traced that is not traced already."""
    kind = value.__class__
    if kind is Traced:
        return value
    if kind is list:
        return [traced_value(item, rule, sources) for item in value]
    if kind is dict:
        return {key: traced_value(item, rule, sources) for key, item in value.items()}
    return Traced(value, rule, sources)


def untraced(value: Any) -> Any:
    """The plain value, at any depth."""
    kind = value.__class__
    if kind is Traced:
        return untraced(value.value)
    if kind is list:
        return [untraced(item) for item in value]
    if kind is dict:
        return {key: untraced(item) for key, item in value.items()}
    return value
