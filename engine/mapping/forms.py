"""What looks like a function and is part of the language: it sees tables, maps or segments.

Each form says how it is compiled, and has the documentation and examples of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from engine.contract import MappingError
from engine.formats.hl7v2 import Segment
from engine.formats.null import NULL
from engine.mapping.ast import Call, Expr
from engine.mapping.closures import NOTHING_AT_ALL, Compiled, constant
from engine.mapping.elements import Component, Group, Repetition, groups, whole_text
from engine.mapping.failures import FunctionError, failed
from engine.mapping.functions.lists import flat
from engine.mapping.functions.text import texts_of
from engine.mapping.grammar import parse_expression
from engine.mapping.runstate import DOCUMENT, MAX_TEXT, SOURCES, STEPS, UNMAPPED, Code, Run
from engine.mapping.scope import Binding, Scope
from engine.mapping.tracing import Traced
from engine.mapping.values import leaf, text_of
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler
    from engine.mapping.tables import Table


@dataclass(frozen=True, slots=True)
class Form:
    """``least`` and ``most`` count the arguments, the piped value included."""

    name: str
    signature: str
    doc: str
    least: int
    most: int
    compile: Callable[[ExpressionCompiler, Call], Compiled]
    examples: tuple[tuple[str, Any], ...] = ()


def _literal(compiler: ExpressionCompiler, node: Expr) -> str | None:
    """The text of an argument that must be known when the mapping is compiled."""
    found = compiler.value(node)
    if found.constant and isinstance(found.value, str):
        return found.value
    compiler.refuse("M309", node, "a literal text is wanted here", "write it in quotes")
    return None


# --- code tables ----------------------------------------------------------------------------


def _find_table(compiler: ExpressionCompiler, node: Expr) -> Table | None:
    name = _literal(compiler, node)
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
    code, where = inner.code, str(compiler.place(call.arguments[0]))

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

    def translated(run: Run) -> Any:
        value = code(run)
        return look_up(value, where, run) if value.__class__ is str else other(run, value)

    if inner.constant and inner.value is None:
        return constant(None)
    return Compiled(translated)


def _table(compiler: ExpressionCompiler, call: Call) -> Compiled:
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
        general = _translated(compiler, call, lambda text, where, run: get(text, fixed)).code

        def with_default(run: Run) -> Any:
            value = code(run)
            return (
                get(value, fixed)
                if value.__class__ is str
                else None
                if value is None
                else (general(run))
            )

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
    general = _translated(compiler, call, lambda text, where, run: get(text)).code

    def looked_up(run: Run) -> Any:
        value = code(run)
        if value.__class__ is str:
            return get(value)
        return None if value is None else general(run)

    return Compiled(looked_up)


def _reverse(compiler: ExpressionCompiler, call: Call) -> Compiled:
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


def _coding(compiler: ExpressionCompiler, call: Call) -> Compiled:
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


# --- maps -----------------------------------------------------------------------------------


def _each(compiler: ExpressionCompiler, call: Call) -> Compiled:
    subject = compiler.node(call.arguments[0])
    name = _literal(compiler, call.arguments[1])
    if name is None:
        return NOTHING_AT_ALL
    found = compiler.unit.map_named(name)
    if found is None:
        help = did_you_mean(name, compiler.unit.map_names())
        if name in compiler.unit.tables:
            help = f"'{name}' is a table: write table('{name}')"
        return compiler.refuse("M304", call.arguments[1], f"unknown map '{name}'", help)
    extra = [compiler.node(argument).code for argument in call.arguments[2:]]
    if len(found.arguments) != 1 + len(extra):
        wanted = ", ".join(found.arguments)
        return compiler.refuse(
            "M305",
            call,
            f"map '{name}' takes {len(found.arguments)} arguments ({wanted}), not {1 + len(extra)}",
            "each() gives it the value first, then what follows the map's name",
        )
    code, body = subject.code, found.code()
    cell, others = found.cells[0], tuple(zip(found.cells[1:], extra, strict=True))
    where = str(compiler.place(call))
    if compiler.unit.trace:
        return Compiled(_traced_each(compiler, call, code, body, cell, others, where))

    def each(run: Run) -> Any:
        value = code(run)
        if value is None:
            return None
        if others:
            given = [argument(run) for _, argument in others]
            for (place, _), argument in zip(others, given, strict=True):
                run[place] = argument
        if value.__class__ is not list:
            run[STEPS] -= 1
            if run[STEPS] < 0:
                raise failed("R305", where, "this mapping takes too many steps")
            run[cell] = value
            return body(run)
        run[STEPS] -= len(value)
        if run[STEPS] < 0:
            raise failed("R305", where, "this mapping takes too many steps")
        results = []
        for item in value:
            run[cell] = item
            result = body(run)
            if result is not None:
                results.append(result)
        return results or None

    return Compiled(each)


def _traced_each(
    compiler: ExpressionCompiler,
    call: Call,
    code: Code,
    body: Code,
    cell: int,
    others: tuple[tuple[int, Code], ...],
    where: str,
) -> Code:
    """The same, telling the map's argument where its value came from."""
    label = compiler.source(call.arguments[0])
    origins = compiler.unit.origins

    def each(run: Run) -> Any:
        kept, run[SOURCES] = run[SOURCES], None
        value = code(run)
        given = [argument(run) for _, argument in others]
        run[SOURCES] = kept
        if value is None:
            return None
        for (place, _), argument in zip(others, given, strict=True):
            run[place] = argument
        several = value.__class__ is list
        results = []
        for number, item in enumerate(value if several else [value], start=1):
            run[STEPS] -= 1
            if run[STEPS] < 0:
                raise failed("R305", where, "this mapping takes too many steps")
            run[cell] = item
            run[origins[cell]] = label.replace("[*]", f"[{number}]") if several else label
            result = body(run)
            if result is not None:
                results.append(result.value if result.__class__ is Traced else result)
        if not several:
            return results[0] if results else None
        return results or None

    return each


# --- parts of the message -------------------------------------------------------------------


def _group(compiler: ExpressionCompiler, call: Call) -> Compiled:
    name = _literal(compiler, call.arguments[0])
    if name is None:
        return NOTHING_AT_ALL
    if compiler.unit.format != "hl7v2" or not (
        len(name) == 3 and name.isalnum() and name.isupper()
    ):
        return compiler.refuse(
            "M109",
            call,
            "group() takes the name of an HL7 segment",
            "such as group('OBR'): each OBR with the segments that follow it",
        )
    if compiler.scope.within_map:
        return compiler.refuse("M308", call, "a map sees only its arguments")
    inside = compiler.scope.home().group
    if inside is None:
        return Compiled(lambda run: groups(run[DOCUMENT].all, name) or None)

    def nested(run: Run) -> Any:
        outer: Group = run[inside]
        found = groups(outer.segments, name)
        for group in found:
            group.header = {**outer.header, **group.header}
        return found or None

    return Compiled(nested)


def _text(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    code, where = inner.code, str(compiler.place(call))

    def text(run: Run, value: Any) -> Any:
        kind = value.__class__
        if kind is str or value is None or value is NULL:
            return value
        if kind is Repetition or kind is Component:
            return whole_text(run, value)
        if kind is list:
            found = [text(run, item) for item in value]
            return [item for item in found if item is not None] or None
        try:
            return text_of(value)
        except ValueError as error:
            raise failed("R301", where, f"text() failed: {error}") from None

    if inner.constant:
        return constant(text([], inner.value))
    return compiler.traced(Compiled(lambda run: text(run, code(run))), call.arguments[0])


def _exists(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    if inner.constant:
        return constant(inner.value not in (None, NULL, []))
    code = inner.code

    def exists(run: Run) -> bool:
        value = code(run)
        if value is None or value is NULL:
            return False
        if value.__class__ is Repetition or value.__class__ is Component:
            return whole_text(run, value) not in (None, NULL)
        return bool(value) or value.__class__ is not list

    return Compiled(exists)


def _count(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    code = inner.code

    def count(run: Run) -> int:
        value = code(run)
        if value is None:
            return 0
        return len(value) if value.__class__ is list else 1

    return constant(count([])) if inner.constant else Compiled(count)


def _end(position: int) -> Callable[[ExpressionCompiler, Call], Compiled]:
    def compile(compiler: ExpressionCompiler, call: Call) -> Compiled:
        inner = compiler.node(call.arguments[0])
        code, where = inner.code, str(compiler.place(call))

        def end(run: Run) -> Any:
            value = code(run)
            if value.__class__ is list:
                value = value[position] if value else None
            if value.__class__ in (Repetition, Component):
                return leaf(run, value)
            if value.__class__ in (Segment, Group):
                raise failed("R304", where, "a segment is not a value: name one of its fields")
            return value

        return constant(end([])) if inner.constant else Compiled(end)

    return compile


def _default(compiler: ExpressionCompiler, call: Call) -> Compiled:
    return compiler.otherwise(compiler.value(call.arguments[0]), compiler.value(call.arguments[1]))


def _list(compiler: ExpressionCompiler, call: Call) -> Compiled:
    parts = [compiler.value(argument) for argument in call.arguments]
    codes, where = tuple(part.code for part in parts), str(compiler.place(call))

    def several(values: list[Any]) -> Any:
        try:
            return flat(values) or None
        except FunctionError as error:
            raise failed("R301", where, f"list() failed: {error}") from None

    if len(codes) == 1:
        only = codes[0]

        def list_of_one(run: Run) -> Any:
            value = only(run)
            if value.__class__ is str:
                return [value]
            return several([value])

        return Compiled(list_of_one)
    if len(codes) == 2:
        one, other = codes

        def list_of_two(run: Run) -> Any:
            first, second = one(run), other(run)
            if first.__class__ is str and second.__class__ is str:
                return [first, second]
            return several([first, second])

        return Compiled(list_of_two)

    def list_of(run: Run) -> Any:
        found = []
        nested = False
        for code in codes:
            value = code(run)
            if value is not None:
                found.append(value)
                if value.__class__ is list:
                    nested = True
        return several(found) if nested else found or None

    return Compiled(list_of)


def _concat(compiler: ExpressionCompiler, call: Call) -> Compiled:
    parts = [compiler.value(argument) for argument in call.arguments]
    where = str(compiler.place(call))
    template = [part.value if part.constant else "" for part in parts]
    computed = tuple((place, p.code) for place, p in enumerate(parts) if not p.constant)

    def concat(run: Run) -> Any:
        pieces = template.copy()
        for place, code in computed:
            value = code(run)
            if value is not None:
                pieces[place] = value
        try:
            text = "".join(pieces)
        except TypeError:  # something is no text yet
            text = spelled([code(run) for code in codes])
        if len(text) > MAX_TEXT:
            raise failed("R301", where, "concat() failed: the text would be too long")
        return text or None

    def spelled(values: list[Any]) -> str:
        try:
            return "".join(texts_of(values))
        except FunctionError as error:
            raise failed("R301", where, f"concat() failed: {error}") from None

    codes = tuple(part.code for part in parts)
    return Compiled(concat)


def _try(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.value(call.arguments[0])
    code = inner.code

    def attempt(run: Run) -> Any:
        try:
            return code(run)
        except MappingError as error:
            if error.info.code not in ("R301", "R302", "R303"):
                raise
            return None

    return inner if inner.constant else Compiled(attempt)


def _fail(compiler: ExpressionCompiler, call: Call) -> Compiled:
    text = _literal(compiler, call.arguments[0])
    where = str(compiler.place(call))

    def fail(run: Run) -> Any:
        raise failed("R102", where, text or "stopped")

    return Compiled(fail)


_ALL: Final = (
    Form(
        "table",
        "table(code, 'Table')",
        "The code's row in a table of this file or an import; what an unmapped code gives is "
        "said by the table.",
        2,
        2,
        _table,
    ),
    Form(
        "reverse",
        "reverse(code, 'Table')",
        "The table read backwards; where several rows have the same value, its `reverse:` says "
        "which one is meant.",
        2,
        2,
        _reverse,
    ),
    Form(
        "coding",
        "coding(code, 'Table')",
        "A FHIR Coding: the table's `to:` as system, the row's code, and its display if it has "
        "one.",
        2,
        2,
        _coding,
    ),
    Form(
        "each",
        "each(values, 'Map', more…)",
        "The map's output for a value, or for each of a list; further arguments are the same "
        "for all.",
        2,
        20,
        _each,
    ),
    Form(
        "group",
        "group('OBR')",
        "Each such segment with those that belong to it. Inside `$for: x in group('OBR')` a "
        "segment path means this group's segment first, then one outside all groups.",
        1,
        1,
        _group,
    ),
    Form(
        "text",
        "text(value)",
        "Everything a field or component holds as one text, separators left in; other values "
        "spelled out.",
        1,
        1,
        _text,
        (("text(1.50)", "1.50"), ("text(true)", "true"), ("text('a')", "a")),
    ),
    Form(
        "exists",
        "exists(value)",
        "Whether there is anything: a segment, a value other than NULL, an item.",
        1,
        1,
        _exists,
        (("exists('a')", True), ("exists(false)", True), ("exists([])", False)),
    ),
    Form(
        "count",
        "count(values)",
        "How many there are; 0 when missing.",
        1,
        1,
        _count,
        (("count(['a', 'b'])", 2), ("count('a')", 1), ("count([])", 0)),
    ),
    Form(
        "first",
        "first(values)",
        "The first of a list, or the value itself.",
        1,
        1,
        _end(0),
        (("first(['a', 'b'])", "a"), ("first('a')", "a"), ("first([])", None)),
    ),
    Form(
        "last",
        "last(values)",
        "The last of a list, or the value itself.",
        1,
        1,
        _end(-1),
        (("last(['a', 'b'])", "b"), ("last('a')", "a"), ("last([])", None)),
    ),
    Form(
        "default",
        "default(value, other)",
        "The value, or the other where it is missing: `value ?? other` in a pipe.",
        2,
        2,
        _default,
        (("default('a', 'b')", "a"), ("first([]) | default('b')", "b"), ("default(1, 2)", 1)),
    ),
    Form(
        "list",
        "list(value, …)",
        "A list of the values that are there; lists among them are taken apart.",
        1,
        1000,
        _list,
        (("list('a', 'b')", ["a", "b"]), ("list('a', first([]))", ["a"]), ("list([])", None)),
    ),
    Form(
        "concat",
        "concat(value, …)",
        "The values one after the other; missing ones are left out.",
        1,
        1000,
        _concat,
        (
            ("concat('a', 1, 'b')", "a1b"),
            ("concat('a', first([]), 'b')", "ab"),
            ("concat(first([]))", None),
            ("concat('a', 0, ['b', 'c'])", "a0bc"),
        ),
    ),
    Form(
        "try",
        "try(value)",
        "The value, or nothing where a function or arithmetic in it fails: `try(PID-7 | date)`. "
        "A required value (!), a table and $raise still stop the mapping.",
        1,
        1,
        _try,
        (("try('a')", "a"), ("try($src | date)", None), ("try($src + 1) ?? 'x'", "x")),
    ),
    Form(
        "fail",
        "fail('text')",
        "Stops the mapping with this literal text: `PID-3.1 ?? fail('no patient id')`.",
        1,
        1,
        _fail,
        (("'a' ?? fail('no id')", "a"), ("1 ?? fail('no')", 1), ("first(['x']) ?? fail('x')", "x")),
    ),
)

FORMS: Final[Mapping[str, Form]] = MappingProxyType({form.name: form for form in _ALL})
