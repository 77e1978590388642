"""Values as the target can hold them: FHIR has no null, and nothing of a source is lent to it."""

from __future__ import annotations

from typing import Any

from engine.formats.null import NULL
from engine.mapping.ast import Call, Every, Expr, ListOf, Path, Variable, children
from engine.mapping.closures import Compiled
from engine.mapping.paths_tree import copied
from engine.mapping.runstate import Code, Run


def copying(code: Code, drops_null: bool) -> Compiled:
    """What a tree of the source lends is copied into the output."""

    def copying(run: Run) -> Any:
        value = code(run)
        kind = value.__class__
        return copied(value, drops_null) if kind is dict or kind is list else value

    return Compiled(copying)


def without_null(code: Code) -> Compiled:
    """Lists without the nulls in them; other values as they are."""

    def without_null(run: Run) -> Any:
        value = code(run)
        return _some(value) if value.__class__ is list else value

    return Compiled(without_null)


def _some(values: list[Any]) -> list[Any] | None:
    for value in values:
        if value is NULL:
            return [one for one in values if one is not NULL] or None
    return values


def may_be_list(tree: Expr) -> bool:
    """Whether a value may be a list: a path with ``[*]``, a variable, a call that makes lists."""
    match tree:
        case Path(root, steps):
            return any(isinstance(step, Every) for step in steps) or isinstance(root, Call)
        case Variable() | ListOf() | Call("list" | "each" | "refer" | "group"):
            return True
    return any(map(may_be_list, children(tree)))
