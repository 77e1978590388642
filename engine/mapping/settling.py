"""Tests whose answer is known, left out of a fused function.

A closure looks at what another has given: whether it is missing, a text, a list.  Where the other
stands in place of its call, that is often plain to see: a field that is not there gives None, an
object is an object.  `settled` walks the statements with what is known of each variable, its class
or its truth.  A test that is known is answered; one that is known at the end of one branch before
it moves into both, where that costs no room.  What a function does stays the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Final, TypeAlias

Known: TypeAlias = dict[str, Any]
"""Of variables: a class, or True or False."""

_ROOM: Final = 8
"""Statements that may stand twice."""
_SIMPLE: Final = (ast.Assign, ast.AugAssign, ast.AnnAssign)
_CLASSES: Final = {kind.__name__: kind for kind in (str, list, dict, bool, int)}
_COMPOUND: Final = (ast.If, ast.For, ast.Try)
_LAST: Final = (ast.Raise, ast.Continue, ast.Break, ast.Return)


def settled(statements: Sequence[ast.stmt], assumed: Mapping[int, type]) -> list[ast.stmt]:
    """The statements without the tests that are known; new ones, nothing is changed in place.

    ``assumed`` are classes of what cells of the run hold, which no statement changes."""
    return _Settling(assumed).block(statements, {})


class _Settling:
    def __init__(self, assumed: Mapping[int, type]) -> None:
        self.assumed = assumed

    def block(self, statements: Sequence[ast.stmt], known: Known) -> list[ast.stmt]:
        """``known`` is what holds before, and afterwards what holds behind."""
        done: list[ast.stmt] = []
        waiting = list(reversed(statements))
        while waiting:
            statement = waiting.pop()
            if isinstance(statement, ast.If):
                answer = answered(statement.test, known)
                if answer is None:
                    done.append(self.choice(statement, waiting, known))
                else:
                    waiting += reversed(statement.body if answer else statement.orelse)
                    continue
            elif isinstance(statement, ast.For) and not statement.orelse:
                forget(statement, known)
                body = self.block(statement.body, dict(known))
                done.append(ast.For(statement.target, statement.iter, body or [ast.Pass()], []))
            elif isinstance(statement, ast.Try) and not (statement.orelse or statement.finalbody):
                before = dict(known)
                forget(statement, known)
                handlers = [
                    ast.ExceptHandler(
                        one.type, one.name, self.block(one.body, dict(known)) or [ast.Pass()]
                    )
                    for one in statement.handlers
                ]
                body = self.block(statement.body, before)
                done.append(ast.Try(body or [ast.Pass()], handlers, [], []))
            elif isinstance(statement, _SIMPLE):
                done.append(self.learn(statement, known))
            else:
                forget(statement, known)
                done.append(statement)
            if isinstance(statement, _LAST):
                break
        return done

    def choice(self, statement: ast.If, waiting: list[ast.stmt], known: Known) -> ast.stmt:
        """The branches, with what of the statements behind them is decided by one of them."""
        yes, no = refined(statement.test, known)
        body, orelse = list(statement.body), list(statement.orelse)
        while waiting:
            between = 1
            while between < 3 and between < len(waiting) and _is_copy(waiting[-between]):
                between += 1
            test = waiting[-between]
            if not isinstance(test, ast.If):
                break
            copies = list(reversed(waiting[len(waiting) - between + 1 :]))
            with_body = self.behind([*body, *copies], test, yes)
            with_orelse = self.behind([*orelse, *copies], test, no)
            if with_body is None and with_orelse is None:
                break
            body = [*body, *copies, *([test] if with_body is None else with_body)]
            orelse = [*orelse, *copies, *([test] if with_orelse is None else with_orelse)]
            del waiting[-between:]
        made = ast.If(statement.test, self.block(body, yes) or [ast.Pass()], self.block(orelse, no))
        ends = _ends(body), _ends(orelse)
        known.clear()
        if ends[0] or ends[1]:
            known.update(no if ends[0] else yes)
        else:
            known.update((name, kind) for name, kind in yes.items() if no.get(name) is kind)
        return made

    def behind(
        self, statements: list[ast.stmt], test: ast.If, known: Known
    ) -> list[ast.stmt] | None:
        """What the test comes to behind these statements, if that is known and small."""
        if _ends(statements):
            return []
        found = dict(known)
        for statement in statements:
            if isinstance(statement, _COMPOUND):
                found.clear()
            else:
                self.learn(statement, found)
        answer = answered(test.test, found)
        if answer is None:
            return None
        taken = test.body if answer else test.orelse
        return taken if _size(taken) <= _ROOM else None

    def learn(self, statement: ast.stmt, known: Known) -> ast.stmt:
        """What an assignment tells; of a test that is known it leaves the answer."""
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                answer = answered(value, known) if _is_truth(value) else None
                if answer is not None:
                    known[name] = answer
                    return ast.Assign([ast.Name(name, ast.Store())], ast.Constant(answer))
                kind = self.kind(value, known)
                if kind is None:
                    known.pop(name, None)
                else:
                    known[name] = kind
            case ast.Assign():
                forget(statement, known)
            case ast.AugAssign(target=ast.Name(id=name)) | ast.AnnAssign(target=ast.Name(id=name)):
                known.pop(name, None)
        return statement

    def kind(self, value: ast.expr, known: Known) -> Any:
        match value:
            case ast.Constant(value=bool() as held):
                return held
            case ast.Constant(value=None | str() | int() as held):
                return type(held)
            case ast.Dict() | ast.List():
                return dict if isinstance(value, ast.Dict) else list
            case ast.Name(id=name):
                return known.get(name)
            case ast.Subscript(ast.Name(id="run"), ast.Constant(value=int() as cell)):
                return self.assumed.get(cell)
        return None


def _is_truth(value: ast.expr) -> bool:
    """Whether its value is True or False, and not only taken for one of them."""
    match value:
        case ast.Compare() | ast.UnaryOp(ast.Not()):
            return True
        case ast.BoolOp(values=values):
            return all(map(_is_truth, values))
    return False


def answered(test: ast.expr, known: Known) -> bool | None:
    """Whether a test holds, when that is known."""
    match test:
        case ast.Name(id=name):
            kind = known.get(name)
            return kind if kind is True or kind is False else False if kind is NoneType else None
        case ast.UnaryOp(ast.Not(), operand):
            answer = answered(operand, known)
            return None if answer is None else not answer
        case ast.BoolOp(operator, values):
            wanted = isinstance(operator, ast.Or)
            answers = [answered(value, known) for value in values]
            for answer in answers:
                if answer is wanted:
                    return wanted
                if answer is None:
                    return None
            return not wanted
        case ast.Compare(left, [ast.Is() | ast.IsNot() as operator], [right]):
            if isinstance(right, ast.Constant):
                same = _is(left, right.value, known)
            elif isinstance(right, ast.Name) and right.id in _CLASSES:
                same = _is(left, _CLASSES[right.id], known)
            else:
                return None
            return None if same is None else same is isinstance(operator, ast.Is)
    return None


def _is(left: ast.expr, held: Any, known: Known) -> bool | None:
    match left:
        case ast.Attribute(ast.Name(id=name), "__class__"):
            kind = known.get(name)
            return None if kind is None else _class(kind) is held
        case ast.Name(id=name):
            kind = known.get(name)
            if kind is None:
                return None
            if held is None:
                return kind is NoneType
            return None if _class(kind) is held.__class__ else False
    return None


def _class(kind: Any) -> type:
    return bool if kind is True or kind is False else kind


def refined(test: ast.expr, known: Known) -> tuple[Known, Known]:
    """What is known where the test holds, and where it does not."""
    yes, no = dict(known), dict(known)
    match test:
        case ast.Compare(
            ast.Attribute(ast.Name(id=name), "__class__"),
            [ast.Is() | ast.IsNot() as operator],
            [ast.Name(id=kind)],
        ) if kind in _CLASSES:
            (yes if isinstance(operator, ast.Is) else no)[name] = _CLASSES[kind]
        case ast.Compare(
            ast.Attribute(ast.Name(id=name), "__class__"),
            [ast.Is() | ast.IsNot() as operator],
            [ast.Constant(value=held)],
        ) if isinstance(held, type):
            (yes if isinstance(operator, ast.Is) else no)[name] = held
        case ast.Compare(
            ast.Name(id=name), [ast.Is() | ast.IsNot() as operator], [ast.Constant(None)]
        ):
            (yes if isinstance(operator, ast.Is) else no)[name] = NoneType
        case ast.Call(ast.Attribute(ast.Name(id=name), "isalnum")):
            yes[name] = no[name] = str
    return yes, no


def forget(statement: ast.stmt, known: Known) -> None:
    """What any part of the statement may assign."""
    for name in _assigned(statement):
        known.pop(name, None)


def _assigned(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assign(targets=targets):
            for target in targets:
                yield from _assigned(target)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield from _assigned(target)
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _assigned(part)
        case ast.If(body=body, orelse=orelse):
            for inner in (*body, *orelse):
                yield from _assigned(inner)
        case ast.For(target=target, body=body, orelse=orelse):
            yield from _assigned(target)
            for inner in (*body, *orelse):
                yield from _assigned(inner)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=last):
            for inner in (*body, *(one for h in handlers for one in h.body), *orelse, *last):
                yield from _assigned(inner)


def _is_copy(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assign([ast.Name()], ast.Name() | ast.Constant()):
            return True
    return False


def _ends(statements: Sequence[ast.stmt]) -> bool:
    return bool(statements) and isinstance(statements[-1], _LAST)


def _size(statements: Sequence[ast.stmt]) -> int:
    """How many statements these are, with those inside them; no more than room for them counts."""
    count = 0
    for statement in statements:
        count += 1
        if isinstance(statement, ast.If):
            count += _size(statement.body) + _size(statement.orelse)
        elif isinstance(statement, _COMPOUND):
            return _ROOM + 1
        if count > _ROOM:
            break
    return count
