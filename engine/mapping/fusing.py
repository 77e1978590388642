"""A tree of closures as one function.

A closure calls the closures it is made of; that costs as much as what most of them do.  `fuse`
puts the body of each in the place of its call, with what it holds as constants, and compiles the
result once.  The closures stay the only definition of what a mapping means: a fused function is
their own source, read as a syntax tree, never as text, and errors carry the same places.

What can be put in place is a function of ``run`` alone without comprehensions, ``while``, ``with``
or functions inside it, whose returns stand at the ends of its branches.  ``for`` over a tuple that
the closure holds is unrolled.  Everything else, and everything whose source is not the code that
runs, is called as before: the result is the same, only slower.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from types import FunctionType, MappingProxyType
from typing import Any, Final
from weakref import WeakKeyDictionary

from engine.formats.hl7v2 import Segment
from engine.mapping.elements import GROUPS, Component, Repetition
from engine.mapping.runstate import STEPS, Code, Run
from engine.mapping.settling import settled
from engine.mapping.shapes import shape
from engine.mapping.trees import PLAIN, Binding, CannotFuse, Turn
from engine.mapping.trees import truth as truth_of

_WORTH: Final = 1_000
"""Calls, with the steps that they take, after which a function will be called again and again."""
_TOLD_APART: Final = frozenset({Segment, Repetition, Component, str, *GROUPS})
"""What an argument of a map is most of the time, if it is one of these."""
_DEEPEST: Final = 30
"""Blocks in blocks; what is deeper becomes a function of its own."""


def fuse(code: Code, assumed: Mapping[int, type] = MappingProxyType({})) -> Code:
    """A function that does what ``code`` does; ``code`` itself when it cannot be taken apart.

    It is made for runs whose cells hold what ``assumed`` says, and which ``code`` does not change;
    for others it calls one that assumes nothing."""
    if not isinstance(code, FunctionType) or shape(code) is None or not _holds_closures(code):
        return code
    return _Fusion(assumed).function(code)


def fuse_later(code: Code, arguments: tuple[int, ...] = ()) -> Code:
    """``code``, and what `fuse` makes of it once it has done enough work.  Making it takes some
    milliseconds: as long as some hundred calls of it, and many are never called that often.
    ``arguments`` are cells that it reads and does not change: the function is made for what they
    hold then.

    May be called by several threads at once; each may make it, and all of them are the same.
    Functions that hold it call what was made without a detour from then on.
    """
    later = _Later()

    def first(run: Run) -> Any:
        made = later.made
        if made is None:
            if later.worth <= _WORTH:
                before = run[STEPS]
                result = code(run)
                later.worth += 1 + before - run[STEPS]
                return result
            kinds = {cell: run[cell].__class__ for cell in arguments}
            assumed = {cell: kind for cell, kind in kinds.items() if kind in _TOLD_APART}
            made = later.made = fuse(code, assumed)
            for names, name in later.holders:
                names[name] = made
            later.holders.clear()
        return made(run)

    _LATER[first] = later
    return first


class _Later:
    """A function that is made when it is worth it, and the globals that hold it until then."""

    __slots__ = ("__weakref__", "holders", "made", "worth")

    def __init__(self) -> None:
        self.made: Code | None = None
        self.worth = 0
        self.holders: list[tuple[dict[str, Any], str]] = []


_LATER: Final[WeakKeyDictionary[Code, _Later]] = WeakKeyDictionary()


class _Fusion:
    """One function in the making: the objects it refers to, and the names it has used."""

    def __init__(self, assumed: Mapping[int, type]) -> None:
        self.assumed = assumed
        self.count = 0

    def function(self, code: FunctionType) -> Code:
        try:
            body = settled(self.body(code, "result", 0), self.assumed)
        except CannotFuse:
            return code
        definition = ast.parse("def fused(run):\n    return result").body[0]
        assert isinstance(definition, ast.FunctionDef)  # noqa: S101
        definition.body[:0] = [*self.guards(code), *body]
        names: dict[str, Any] = {}
        module = ast.Module([_Naming(names).finished(definition)], [])
        try:
            compiled = compile(module, "<mapping>", "exec")
        except (SyntaxError, RecursionError):
            return code  # more loops in loops than Python takes
        exec(compiled, names)  # noqa: S102 - trees of this package's own functions
        fused: Code = names["fused"]
        return fused

    def guards(self, code: FunctionType) -> list[ast.stmt]:
        """What is done where the arguments are not what is assumed."""
        if not self.assumed:
            return []
        otherwise = ast.Call(_held(fuse_later(code)), [ast.Name("run", ast.Load())], [])
        return [
            ast.If(
                ast.Compare(
                    ast.Attribute(
                        ast.Subscript(ast.Name("run", ast.Load()), ast.Constant(cell), ast.Load()),
                        "__class__",
                        ast.Load(),
                    ),
                    [ast.IsNot()],
                    [_held(kind)],
                ),
                [ast.Return(otherwise)],
                [],
            )
            for cell, kind in self.assumed.items()
        ]

    # --- one closure ----------------------------------------------------------------------

    def body(self, function: FunctionType, target: str, depth: int) -> list[ast.stmt]:
        """Statements that leave the function's result in ``target``."""
        statements = shape(function)
        if statements is None:
            raise CannotFuse
        self.count += 1
        bound = Binding(function, f"_{self.count}")
        return self.flow(bound.of(list(statements)), target, depth)

    def call(self, node: ast.expr, target: str, depth: int) -> list[ast.stmt] | None:
        """The body of the closure that ``node`` calls, when it does and that can be had."""
        function = _called(node)
        if function is None or function in _LATER or shape(function) is None:
            return None
        if depth >= _DEEPEST:
            assert isinstance(node, ast.Call)  # noqa: S101
            return [_assign(target, ast.Call(_held(fuse(function)), node.args, []))]
        try:
            return self.body(function, target, depth)
        except CannotFuse:
            return None

    # --- statements -----------------------------------------------------------------------

    def flow(self, statements: Sequence[ast.stmt], target: str, depth: int) -> list[ast.stmt]:
        """A function's statements, with an assignment in the place of each return."""
        done: list[ast.stmt] = []
        for number, statement in enumerate(statements):
            rest = list(statements[number + 1 :])
            if isinstance(statement, ast.Return):
                return done + self.give(target, statement.value or ast.Constant(None), depth)
            if isinstance(statement, ast.Raise):
                return [*done, statement]
            if isinstance(statement, ast.If):
                truth = truth_of(statement.test)
                if truth is not None:
                    taken = statement.body if truth else statement.orelse
                    return done + self.flow([*taken, *rest], target, depth)
                if _returns(statement):
                    return done + self.branches(statement, rest, target, depth)
            elif isinstance(statement, ast.For) and isinstance(statement.iter, ast.Constant):
                return done + self.flow([*_unrolled(statement), *rest], target, depth)
            elif _returns(statement):
                if not isinstance(statement, ast.Try) or rest:
                    raise CannotFuse
                statement.body = self.flow(statement.body, target, depth + 1)
                for handler in statement.handlers:
                    handler.body = self.flow(handler.body, target, depth + 1)
                return [*done, statement]
            done += self.one(statement, depth)
        return [*done, _assign(target, ast.Constant(None))]

    def branches(
        self, statement: ast.If, rest: list[ast.stmt], target: str, depth: int
    ) -> list[ast.stmt]:
        ends = _ends(statement.body), _ends(statement.orelse)
        if rest and not any(ends):
            raise CannotFuse
        done = self.condition(statement, depth)
        body = statement.body if ends[0] else statement.body + rest
        orelse = statement.orelse if ends[1] else statement.orelse + rest
        statement.body = self.flow(body, target, depth + 1)
        statement.orelse = self.flow(orelse, target, depth + 1)
        return [*done, statement]

    def condition(self, statement: ast.If, depth: int) -> list[ast.stmt]:
        """The test's own closure, before the statement that asks for it."""
        test = statement.test
        negative = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        asked = test.operand if isinstance(test, ast.UnaryOp) and negative else test
        self.count += 1
        name = f"test_{self.count}"
        found = self.call(asked, name, depth)
        if found is None:
            return []
        answer: ast.expr = ast.Name(name, ast.Load())
        statement.test = ast.UnaryOp(ast.Not(), answer) if negative else answer
        return found

    def give(self, target: str, value: ast.expr, depth: int) -> list[ast.stmt]:
        """``target = value``."""
        if isinstance(value, ast.IfExp):
            chosen = ast.If(value.test, [ast.Return(value.body)], [ast.Return(value.orelse)])
            return self.flow([chosen], target, depth)
        return self.call(value, target, depth) or [_assign(target, value)]

    def one(self, statement: ast.stmt, depth: int) -> list[ast.stmt]:
        """A statement that does not return."""
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                return self.give(name, value, depth)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if isinstance(value, ast.IfExp) and not _calls(value):
                    return [statement]
                return self.give(name, value, depth)
            case ast.If():
                done = self.condition(statement, depth)
                statement.body = self.block(statement.body, depth + 1) or [ast.Pass()]
                statement.orelse = self.block(statement.orelse, depth + 1)
                return [*done, statement]
            case ast.For():
                statement.body = self.block(statement.body, depth + 1)
            case ast.Try():
                statement.body = self.block(statement.body, depth + 1)
                for handler in statement.handlers:
                    handler.body = self.block(handler.body, depth + 1)
        return [statement]

    def block(self, statements: Sequence[ast.stmt], depth: int) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for statement in statements:
            if isinstance(statement, ast.If):
                truth = truth_of(statement.test)
                if truth is not None:
                    done += self.block(statement.body if truth else statement.orelse, depth)
                    continue
            if isinstance(statement, ast.For) and isinstance(statement.iter, ast.Constant):
                done += self.block(_unrolled(statement), depth)
                continue
            done += self.one(statement, depth)
        return done


class _Naming:
    """Objects cannot stand in code: each becomes a global of the fused function."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.known: dict[int, str] = {}

    def finished(self, node: Any) -> Any:
        """The tree as ``compile`` wants it: places everywhere, and nothing but literals."""
        if isinstance(node, list):
            for number, item in enumerate(node):
                if isinstance(item, ast.AST):
                    node[number] = self.finished(item)
            return node
        if isinstance(node, ast.Constant) and type(node.value) not in PLAIN:
            node = self.named(node.value)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST | list):
                setattr(node, name, self.finished(value))
        if node._attributes:
            node.lineno = node.end_lineno = 1
            node.col_offset = node.end_col_offset = 0
        return node

    def named(self, value: Any) -> ast.Name:
        name = self.known.get(id(value))
        if name is None:
            name = self.known[id(value)] = f"held_{len(self.known)}"
            later = _LATER.get(value) if value.__class__ is FunctionType else None
            self.names[name] = value
            if later is not None and later.made is not None:
                self.names[name] = later.made
            elif later is not None:
                later.holders.append((self.names, name))
        return ast.Name(name, ast.Load())


def _unrolled(loop: ast.For) -> list[ast.stmt]:
    """The turns of a loop over a tuple that is known, one after the other."""
    assert isinstance(loop.iter, ast.Constant)  # noqa: S101
    items: Any = loop.iter.value
    if not isinstance(items, tuple) or loop.orelse:
        raise CannotFuse
    if any(isinstance(n, ast.Break | ast.Continue) for s in loop.body for n in ast.walk(s)):
        raise CannotFuse
    done: list[ast.stmt] = []
    for item in items:
        match loop.target:
            case ast.Name(id=name):
                values = {name: item}
            case ast.Tuple(elts=names):
                values = {
                    n.id: part
                    for n, part in zip(names, item, strict=True)
                    if isinstance(n, ast.Name)
                }
            case _:
                raise CannotFuse
        done += Turn(values).of(loop.body)
    return done


def _holds_closures(function: FunctionType) -> bool:
    """Whether there is anything to put in place."""
    for cell in function.__closure__ or ():
        held = cell.cell_contents
        if isinstance(held, tuple | FunctionType):
            return True
    return False


def _called(node: ast.expr) -> FunctionType | None:
    """The closure of ``closure(run)``."""
    match node:
        case ast.Call(
            func=ast.Constant(value=FunctionType() as function), args=[ast.Name(id="run")]
        ):
            return function
    return None


def _calls(node: ast.AST) -> bool:
    return any(isinstance(n, ast.expr) and _called(n) is not None for n in ast.walk(node))


def _returns(statement: ast.stmt) -> bool:
    match statement:
        case ast.Return():
            return True
        case ast.If() | ast.For():
            return any(map(_returns, statement.body)) or any(map(_returns, statement.orelse))
        case ast.Try():
            inner = [*statement.body, *(s for h in statement.handlers for s in h.body)]
            return any(map(_returns, inner))
    return False


def _ends(statements: Sequence[ast.stmt]) -> bool:
    """Whether control never comes out at the end."""
    if not statements:
        return False
    last = statements[-1]
    match last:
        case ast.Return() | ast.Raise():
            return True
        case ast.If():
            return _ends(last.body) and _ends(last.orelse)
        case ast.Try():
            return _ends(last.body) and all(_ends(handler.body) for handler in last.handlers)
    return False


def _held(value: Any) -> ast.Constant:
    """Any object as a constant, until `_Naming` gives it a name."""
    return ast.Constant(value)


def _assign(target: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(target, ast.Store())], value)
