"""What stays the same while a loop turns is computed once, when it is first wanted.

Never earlier: a loop without turns computes nothing, and fails at nothing.
"""

from __future__ import annotations

from typing import Any

from engine.mapping.ast import Call, Expr, GroupName, Item, Segment, Variable, children
from engine.mapping.closures import Compiled
from engine.mapping.runstate import UNREAD, Code, Layout, Run
from engine.mapping.scope import Scope


def since(tree: Expr, scope: Scope) -> Scope | None:
    """The scope with whose turns the value changes: a loop's, or the outermost.

    None in a map and in a predicate, whose cells change without a turn.
    """
    if scope.within_map or scope.item is not None:
        return None
    found: set[int] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Variable):
            owner = scope.owner(node.name)
            if owner is None:
                return None
            owner = owner.names[node.name].since or owner
            found.add(id(owner))
        elif isinstance(node, Segment | GroupName) or (
            isinstance(node, Call) and node.name == "group"
        ):
            found.add(id(scope.home()))
        elif isinstance(node, Item):
            continue  # of a predicate within the tree
        waiting += children(node)
    while scope.parent is not None and id(scope) not in found:
        scope = scope.parent
    return scope


def outside_loop(tree: Expr, scope: Scope) -> Scope | None:
    """The scope that owns the value, when it stays the same in every turn of the nearest loop."""
    owner = since(tree, scope)
    if owner is None or not (owner.loops or owner.parent is None):
        return None
    inner: Scope | None = scope
    while inner is not None and not inner.loops:
        if inner is owner:
            return None
        inner = inner.parent
    return None if inner is None or inner is owner else owner


def kept(found: Compiled, owner: Scope, layout: Layout) -> Compiled:
    """Computed once a turn of its owner.  Objects are not kept: each output has its own."""
    if found.constant:
        return found
    code, cell = found.code, layout.cell(UNREAD)
    owner.memos[f"kept {cell}"] = (cell, code)
    return Compiled(_kept(code, cell))


def _kept(code: Code, cell: int) -> Code:
    def kept(run: Run) -> Any:
        value = run[cell]
        if value is UNREAD:
            value = code(run)
            if value.__class__ is not dict and value.__class__ is not list:
                run[cell] = value
        return value

    return kept
