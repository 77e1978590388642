"""Copies of syntax trees with names replaced, and what constants decide computed on the way.

A constant of such a tree may hold any object until the tree is compiled.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final

_ROOM: Final = 15  # literals of an object that are written out rather than copied
PLAIN: Final = (type(None), bool, int, str)
_KNOWN_TRUTH: Final = (*PLAIN, tuple, dict, FunctionType)


class CannotFuse(Exception):
    """This function cannot be put in place of its call."""


class _Copy:
    """A copy of a tree with its names replaced; what constants decide is computed on the way."""

    def name(self, node: ast.Name) -> ast.expr:
        raise NotImplementedError

    def of(self, node: Any) -> Any:
        kind = node.__class__
        if kind is list:
            return [self.of(item) for item in node]
        if kind is ast.Name:
            return self.name(node)
        if kind is ast.Constant or not isinstance(node, ast.AST) or not node._fields:
            return node  # nobody changes those
        made = kind(*[self.of(getattr(node, name, None)) for name in node._fields])
        fold = _FOLDS.get(kind)
        return made if fold is None else fold(made)


class Binding(_Copy):
    """Puts what a closure holds in the place of the names, and gives its variables new ones."""

    def __init__(self, function: FunctionType, suffix: str) -> None:
        code = function.__code__
        self.suffix = suffix
        self.own = set(code.co_varnames) - {"run"}
        self.held: dict[str, Any] = {}
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.held[name] = cell.cell_contents
            except ValueError:
                raise CannotFuse from None
        self.outside = function.__globals__

    def of(self, node: Any) -> Any:
        made = super().of(node)
        if node.__class__ is ast.ExceptHandler and node.name:
            made.name = node.name + self.suffix
        return made

    def name(self, node: ast.Name) -> ast.expr:
        name = node.id
        if name in self.own:
            return ast.Name(name + self.suffix, node.ctx)
        if name in self.held:
            return ast.Constant(self.held[name])
        if name in self.outside:
            return ast.Constant(self.outside[name])
        if name != "run" and not hasattr(builtins, name):
            raise CannotFuse
        return ast.Name(name, node.ctx)


class Turn(_Copy):
    """Puts the items of one turn in the place of a loop's variables."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def name(self, node: ast.Name) -> ast.expr:
        if node.id in self.values and isinstance(node.ctx, ast.Load):
            return ast.Constant(self.values[node.id])
        return ast.Name(node.id, node.ctx)


def _folded_call(node: ast.Call) -> ast.expr:
    """A copy of a few literals is written out."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=dict() as held), attr="copy")):
            if len(held) <= _ROOM and all(type(value) in PLAIN for value in held.values()):
                return ast.Dict(
                    [ast.Constant(key) for key in held],
                    [ast.Constant(value) for value in held.values()],
                )
    return node


def _folded_comparison(node: ast.Compare) -> ast.expr:
    match node:
        case ast.Compare(
            left=ast.Constant(value=left), ops=[operator], comparators=[ast.Constant(None)]
        ) if isinstance(operator, ast.Is | ast.IsNot):
            return ast.Constant((left is None) is isinstance(operator, ast.Is))
    return node


def _folded_logic(node: ast.BoolOp) -> ast.expr:
    going_on = isinstance(node.op, ast.And)
    values: list[ast.expr] = []
    for number, value in enumerate(node.values, start=1):
        known = truth(value)
        if known is going_on and number < len(node.values):
            continue
        values.append(value)
        if known is (not going_on):
            break
    return values[0] if len(values) == 1 else ast.BoolOp(node.op, values)


def _folded_choice(node: ast.IfExp) -> ast.expr:
    known = truth(node.test)
    return node if known is None else node.body if known else node.orelse


_FOLDS: Final[dict[type, Callable[[Any], ast.expr]]] = {
    ast.Call: _folded_call,
    ast.Compare: _folded_comparison,
    ast.BoolOp: _folded_logic,
    ast.IfExp: _folded_choice,
}


def truth(node: ast.expr) -> bool | None:
    """Whether a test holds, when that is known."""
    match node:
        case ast.Constant(value=value) if isinstance(value, _KNOWN_TRUTH):
            return bool(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            known = truth(operand)
            return None if known is None else not known
    return None
