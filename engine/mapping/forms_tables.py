"""Code tables in expressions: table(), reverse(), coding()."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.formats.null import NULL
from engine.mapping.ast import Call, Expr
from engine.mapping.closures import NOTHING_AT_ALL, Compiled, constant
from engine.mapping.failures import failed
from engine.mapping.form import literal_of
from engine.mapping.grammar import parse_expression
from engine.mapping.runstate import UNMAPPED, Run
from engine.mapping.scope import Binding, Scope
from engine.mapping.values import text_of
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler
    from engine.mapping.tables import Table


def _find_table(compiler: ExpressionCompiler, node: Expr) -> Table | None:
    name = literal_of(compiler, node)
    if name is None:
        return None
    table = compiler.unit.tables.get(name)
    if table is None:
        help = did_you_mean(name, compiler.unit.tables)
        compiler.refuse("M303", node, f"unknown table '{name}'", help)
        return None
    compiler.unit.used_tables.add(name)
    return table


def _otherwise(compiler: ExpressionCompiler, table: Table) -> Compiled:
    """What an unmapped code gives when the table computes it; ``$code`` is the code."""
    unit = compiler.unit
    tree = None
    if table.expression is not None:
        tree = parse_expression(table.expression, unit.format, unit.diagnostics)
    if table.expression is None or tree is None:
        return Compiled(lambda run: None)
    scope = Scope()
    scope.sealed = True
    scope.names["code"] = Binding(UNMAPPED)
    return compiler.sibling(scope, table.expression).value(tree)


def _translated(
    compiler: ExpressionCompiler, call: Call, look_up: Callable[[str, str, Run], Any]
) -> Compiled:
    """The value's text through ``look_up(text, where, run)``; lists item by item."""
    inner = compiler.value(call.arguments[0])
    code, other = inner.code, _other(compiler, call, look_up)
    where = str(compiler.place(call.arguments[0]))

    def translated(run: Run) -> Any:
        value = code(run)
        if value.__class__ is str:
            return look_up(value, where, run)
        return None if value is None else other(run, value)

    if inner.constant and inner.value is None:
        return constant(None)
    return Compiled(translated)


def _other(
    compiler: ExpressionCompiler, call: Call, look_up: Callable[[str, str, Run], Any]
) -> Callable[[Run, Any], Any]:
    """The same for values that are no text yet, or several."""
    where = str(compiler.place(call.arguments[0]))

    def other(run: Run, value: Any) -> Any:
        if value is None or value is NULL:
            return value
        if value.__class__ is list:
            found = [other(run, item) for item in value]
            return [item for item in found if item is not None] or None
        try:
            return look_up(text_of(value), where, run)
        except ValueError:
            raise failed("R301", where, "a table looks up text") from None

    return other


def compile_table(compiler: ExpressionCompiler, call: Call) -> Compiled:
    table = _find_table(compiler, call.arguments[1])
    if table is None:
        compiler.value(call.arguments[0])
        return NOTHING_AT_ALL
    missing = _otherwise(compiler, table)
    rows = {code: row.code for code, row in table.rows.items()}
    get = rows.get
    if table.unmapped == "drop":
        return _looked_up(compiler, call, get)
    if table.unmapped == "pass":
        return _translated(compiler, call, lambda text, where, run: get(text, text))
    if missing.constant:
        fixed = missing.value
        inner = compiler.value(call.arguments[0])
        code = inner.code
        other = _other(compiler, call, lambda text, where, run: get(text, fixed))

        def with_default(run: Run) -> Any:
            value = code(run)
            if value.__class__ is str:
                return get(value, fixed)
            return None if value is None else other(run, value)

        return Compiled(with_default)

    def strict(text: str, where: str, run: Run) -> Any:
        found = get(text)
        if found is None:
            return table.unknown(text, where, run, missing.code)
        return found

    return _translated(compiler, call, strict)


def _looked_up(compiler: ExpressionCompiler, call: Call, get: Callable[[str], Any]) -> Compiled:
    """The usual case without a call in between: text, and nothing for what has no row."""
    code = compiler.value(call.arguments[0]).code
    other = _other(compiler, call, lambda text, where, run: get(text))

    def looked_up(run: Run) -> Any:
        value = code(run)
        if value.__class__ is str:
            return get(value)
        return None if value is None else other(run, value)

    return Compiled(looked_up)


def compile_reverse(compiler: ExpressionCompiler, call: Call) -> Compiled:
    table = _find_table(compiler, call.arguments[1])
    if table is None:
        compiler.value(call.arguments[0])
        return NOTHING_AT_ALL
    rows, ambiguous = table.reversed()
    if ambiguous:
        return compiler.refuse(
            "M202",
            call,
            f"table '{table.name}' cannot be read backwards: '{ambiguous[0]}' stands in "
            "several rows",
            f"add 'reverse: {{{ambiguous[0]}: …}}' to the table",
        )
    get = rows.get
    missing = _otherwise(compiler, table)

    def look_up(text: str, where: str, run: Run) -> Any:
        found = get(text)
        if found is None:
            return table.unknown(text, where, run, missing.code)
        return found

    return _translated(compiler, call, look_up)


def compile_coding(compiler: ExpressionCompiler, call: Call) -> Compiled:
    table = _find_table(compiler, call.arguments[1])
    if table is None:
        compiler.value(call.arguments[0])
        return NOTHING_AT_ALL
    missing = _otherwise(compiler, table)

    def look_up(text: str, where: str, run: Run) -> Any:
        row = table.rows.get(text)
        code = row.code if row else table.unknown(text, where, run, missing.code)
        if code is None:
            return None
        system = row.system or table.to if row else table.to if table.unmapped == "=" else None
        coding = {"system": system} if system else {}
        coding["code"] = code
        if row and row.display:
            coding["display"] = row.display
        return coding

    return _translated(compiler, call, look_up)
