"""Where each value of an output came from: for ``carebus explain`` and the dashboard.

What it returns holds clinical values: it is shown to the person who asked, and never logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.contract import Document, MapContext
from engine.formats.null import NULL
from engine.mapping.compiled import CompiledMapping
from engine.mapping.elements import Component, Repetition
from engine.mapping.tracing import Rule, Traced, untraced
from engine.mapping.values import text_of
from engine.syntax import Position


@dataclass(frozen=True, slots=True)
class Source:
    """A path that a rule read, and what it found there (None: nothing)."""

    path: str
    value: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Explained:
    """One leaf of the output."""

    target: str
    """``entry[1].resource.name[1].family``, ``PID.5[1].1``: indexes count from 1."""
    value: str = field(repr=False)
    sources: tuple[Source, ...]
    """Empty for a literal."""
    rule: str
    """The place in the mapping file's tree; in a map, below the map's name."""
    position: Position


def explain(
    mapping: CompiledMapping, document: Document, context: MapContext
) -> tuple[Explained, ...]:
    """Every leaf in the order of the output.  Raises MappingError as `mapping.apply` does."""
    traced = mapping.traced()
    if traced is None:
        raise ValueError("the mapping does not compile any more: its imports have changed")
    return tuple(_leaves(trace(traced, document, context), ""))


def trace(traced: CompiledMapping, document: Document, context: MapContext) -> Any:
    """The output of an instrumented mapping, its leaves `Traced`."""
    return traced.apply(document, context)


def written_rules(tree: Any) -> Iterator[Rule]:
    """The rules that wrote something of a traced output."""
    for found in _traced(tree):
        yield found.rule
        yield from found.through


def plain(tree: Any) -> Any:
    """The output without its history."""
    return untraced(tree)


def _traced(tree: Any) -> Iterator[Traced]:
    if isinstance(tree, Traced):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _traced(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _traced(value)


def _leaves(tree: Any, path: str) -> Iterator[Explained]:
    if isinstance(tree, Traced):
        sources = tuple(Source(name, shown(value)) for name, value in tree.sources)
        yield Explained(path, shown(tree.value) or "", sources, tree.rule.path, tree.rule.position)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree, start=1):
            yield from _leaves(value, f"{path}[{number}]")


def shown(value: Any) -> str | None:
    """A value in one line; None for nothing."""
    if value is None:
        return None
    if value is NULL:
        return '""'
    if isinstance(value, Repetition | Component):
        return ("^" if isinstance(value, Repetition) else "&").join(value)
    if isinstance(value, list):
        return ", ".join(shown(item) or "" for item in value)
    try:
        return text_of(value)
    except ValueError:
        return f"({type(value).__name__})" if not isinstance(value, dict) else "{…}"


__all__ = ["Explained", "Source", "explain", "plain", "shown", "trace", "written_rules"]
