"""What an instrumented mapping carries along: which rule wrote a value, and what it had read.

An instrumented mapping is the same closures with `Traced` values at the leaves; `explain` takes
them off again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.mapping.placed import Place
from engine.syntax import Position

Sources: TypeAlias = list[tuple[str, Any]]
"""Paths with the values that were found there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a mapping that can write a value; ``path`` is its place in the file's tree."""

    path: str
    position: Position


def joined(path: str, key: str) -> str:
    """The place of a key below a place in the file's tree."""
    return f"{path}.{key}" if path else key


class Reading:
    """What a rule has read so far, and the rules of maps that gave it text."""

    __slots__ = ("places", "rules", "sources")

    def __init__(self) -> None:
        self.sources: Sources = []
        self.places: list[Place] = []
        self.rules: list[Rule] = []


class Traced:
    """A value of the output with its history; ``through`` are the rules that passed it on, and
    ``places`` the leaves of the source that were read for it, when the run has an account."""

    __slots__ = ("places", "rule", "sources", "through", "value")

    def __init__(
        self,
        value: Any,
        rule: Rule,
        sources: Sources,
        through: tuple[Rule, ...] = (),
        places: Sequence[Place] = (),
    ) -> None:
        self.value, self.rule, self.sources, self.through = value, rule, sources, through
        self.places = places


def traced_value(value: Any, rule: Rule, read: Reading) -> Any:
    """The value with every leaf traced: a leaf that a map has written keeps its rule."""
    return _traced(value, rule, read.sources, tuple(read.rules), read.places)


def _traced(
    value: Any,
    rule: Rule,
    sources: Sources,
    rules: tuple[Rule, ...],
    places: Sequence[Place],
) -> Any:
    kind = value.__class__
    if kind is Traced:
        through = (*value.through, rule, *rules)
        return Traced(value.value, value.rule, value.sources, through, (*value.places, *places))
    if kind is list:
        own = _own_sources(sources, len(value))
        each = [[one] for one in places] if len(places) == len(value) else [places] * len(value)
        return [_traced(item, rule, own[n], rules, each[n]) for n, item in enumerate(value)]
    if kind is dict:
        return {key: _traced(item, rule, sources, rules, places) for key, item in value.items()}
    return Traced(value, rule, sources, rules, places)


def _own_sources(sources: Sources, count: int) -> list[Sources]:
    """Each item's own source, when there are as many values as items; otherwise all of them."""
    single: Sources = []
    for path, found in sources:
        if found.__class__ is list:
            single += [(path.replace("[*]", f"[{n}]"), one) for n, one in enumerate(found, start=1)]
        elif found is not None:
            single.append((path, found))
    return [[one] for one in single] if len(single) == count else [sources] * count


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
