"""Paths in general: any root, any steps, any selectors, in every format.

A path that holds ``[*]`` gives the list of what is there (None when nothing is), every other
path its first match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.mapping.paths_hl7v2 import named, numbered
from engine.mapping.paths_tree import candidates, member, present
from engine.mapping.runstate import Code, Run
from engine.mapping.values import leaf


@dataclass(frozen=True, slots=True)
class Selector:
    """``[2]``, ``[last]`` (-1), ``[*]`` (``test`` and ``index`` None) or ``[test]``."""

    index: int | None = None
    test: Code | None = None
    cell: int = 0  # where the test finds its item


@dataclass(frozen=True, slots=True)
class Advance:
    """One step with its selectors.  ``step`` is a number or a name, None for the root itself."""

    step: int | str | None
    selectors: tuple[Selector, ...]

    @property
    def many(self) -> bool:
        return any(s.index is None and s.test is None for s in self.selectors)


def select(run: Run, found: Sequence[Any], selectors: tuple[Selector, ...]) -> list[Any]:
    """What the selectors leave; without ``[*]`` at most one."""
    many = False
    for selector in selectors:
        if selector.index is not None:
            at = selector.index
            found = found[-1:] if at == -1 else found[at - 1 : at]
        elif selector.test is not None:
            kept = []
            for item in found:
                if item is not None:
                    run[selector.cell] = item
                    if selector.test(run):
                        kept.append(item)
            found = kept
        else:
            many = True
    if not many:
        found = found[:1]
    return [item for item in found if item is not None]


def step_from(run: Run, node: Any, step: int | str | None, choices: bool) -> list[Any]:
    """Everything one step below a node, before selectors."""
    if node.__class__ is list:
        if not node:
            return []
        if step is None:
            return list(node)
        node = node[0]
    if step is None:
        return [node]
    if step.__class__ is int:
        return numbered(run, node, step)
    if node.__class__ is dict:
        return [present(item) for item in candidates(member(node, step, choices))]  # type: ignore[arg-type]
    return named(node, step) or []  # type: ignore[arg-type]


def walk(root: Code, advances: tuple[Advance, ...], choices: bool) -> Callable[[Run], list[Any]]:
    """All nodes that the path finds."""

    def nodes(run: Run) -> list[Any]:
        start = root(run)
        found = [] if start is None else [start]
        for advance in advances:
            found = [
                item
                for node in found
                for item in select(
                    run, step_from(run, node, advance.step, choices), advance.selectors
                )
            ]
        return found

    return nodes


def node_code(root: Code, advances: tuple[Advance, ...], choices: bool) -> Code:
    """The path's nodes (a list, or the first) as a variable holds them."""
    nodes = walk(root, advances, choices)
    if any(advance.many for advance in advances):
        return lambda run: nodes(run) or None

    def first(run: Run) -> Any:
        found = nodes(run)
        return found[0] if found else None

    return first


def value_code(root: Code, advances: tuple[Advance, ...], choices: bool) -> Code:
    """The path's values: decoded, missing ones left out.  May raise NotText."""
    node = node_code(root, advances, choices)

    def value(run: Run) -> Any:
        found = node(run)
        return None if found is None else leaf(run, found)

    return value
