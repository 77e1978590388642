"""Paths in general: any root, any steps, any selectors, in every format.

A path that holds ``[*]`` gives the list of what is there (None when nothing is), every other
path its first match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.mapping.paths_hl7v2 import first_of, named, numbered
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
    chained = _chain(root, advances, choices)
    if chained is not None:
        return chained
    nodes = walk(root, advances, choices)
    if any(advance.many for advance in advances):
        return lambda run: nodes(run) or None

    def first(run: Run) -> Any:
        found = nodes(run)
        return found[0] if found else None

    return first


def _chain(root: Code, advances: tuple[Advance, ...], choices: bool) -> Code | None:
    """The path as steps from one node to the next, when ``[*]`` stands at its end at most."""
    code = root
    for number, advance in enumerate(advances, start=1):
        step, selectors = advance.step, advance.selectors
        if len(selectors) > 1 or (selectors and selectors[0].index is not None):
            return None
        if not selectors:
            if isinstance(step, int):
                code = _first_numbered(code, step)
            else:
                code = _first_step(code, step, choices)
        elif step is None:
            return None
        elif selectors[0].test is not None:
            code = _first_where(code, step, choices, selectors[0].test, selectors[0].cell)
        elif number == len(advances):
            code = _every(code, step, choices)
        else:
            return None
    return code


def _first_numbered(before: Code, number: int) -> Code:
    def first_numbered(run: Run) -> Any:
        node = before(run)
        if node is None:
            return None
        return first_of(run, node, number)

    return first_numbered


def _first_step(before: Code, step: int | str | None, choices: bool) -> Code:
    def first_step(run: Run) -> Any:
        node = before(run)
        if node is None or (step is None and node.__class__ is not list):
            return node
        found = step_from(run, node, step, choices)
        return found[0] if found else None

    return first_step


def _first_where(before: Code, step: int | str, choices: bool, test: Code, cell: int) -> Code:
    def first_where(run: Run) -> Any:
        node = before(run)
        if node is None:
            return None
        for item in step_from(run, node, step, choices):
            if item is not None:
                run[cell] = item
                if test(run):
                    return item
        return None

    return first_where


def _every(before: Code, step: int | str, choices: bool) -> Code:
    def every(run: Run) -> Any:
        node = before(run)
        if node is None:
            return None
        found = step_from(run, node, step, choices)
        return [item for item in found if item is not None] or None

    return every


def every_step(run: Run, node: Any, step: int | str) -> Any:
    """All that is one step below a node of a segmented source, or None."""
    return [item for item in step_from(run, node, step, False) if item is not None] or None


def value_code(root: Code, advances: tuple[Advance, ...], choices: bool) -> Code:
    """The path's values: decoded, missing ones left out.  May raise NotText."""
    node = node_code(root, advances, choices)

    def value(run: Run) -> Any:
        found = node(run)
        return None if found is None else leaf(run, found)

    return value
