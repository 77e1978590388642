"""What always gives something, whatever the message: nothing behind it is ever reached."""

from __future__ import annotations

from typing import Final

from engine.mapping.ast import Call, Expr, Literal, Operation
from engine.mapping.grammar import is_expression, parse_expression
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence

_CONDITIONS: Final = ("$for", "$if")


def certain(node: Node, format: str) -> bool:
    """Whether an output node gives something in every run, or stops every run.

    False where that is not known.
    """
    match node:
        case Scalar(text):
            if not is_expression(text):
                return bool(text)
            tree = parse_expression(node, format, Diagnostics())
            return tree is not None and certain_value(tree)
        case Sequence(items):
            return any(certain(item, format) for item in items)
        case Mapping():
            return _object(node, format)


def _object(node: Mapping, format: str) -> bool:
    if any(condition in node for condition in _CONDITIONS):
        return False
    for key, value in node.entries:
        if key.text == "$raise":
            return True
        content = key.text in ("$first", "$merge") or not key.text.startswith("$")
        if content and certain(value, format):
            return True
    return _case(node, format)


def _case(node: Mapping, format: str) -> bool:
    branches, otherwise = node.get("$of"), node.get("$else")
    if not isinstance(branches, Mapping) or otherwise is None:
        return False
    nodes = [value for _, value in branches.entries]
    return all(certain(branch, format) for branch in (*nodes, otherwise))


def certain_value(tree: Expr) -> bool:
    """Whether an expression gives a value in every run; False where that is not known."""
    match tree:
        case Literal(value):
            return not isinstance(value, str) or bool(value)
        case Operation("??", left, right):
            return certain_value(left) or certain_value(right)
        case Call("default", (left, right)):
            return certain_value(left) or certain_value(right)
        case Call("fail"):
            return True
    return False
