"""Forms that see parts of the message before they are values, or that decide what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.contract import MappingError
from engine.formats.hl7v2 import Segment
from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.null import NULL
from engine.formats.xml import Element, narrative_html, text_inside
from engine.mapping.ast import SEGMENTED, Call, Expr, Number, Path, Variable
from engine.mapping.closures import NOTHING_AT_ALL, Compiled, constant
from engine.mapping.elements import GROUPS, Component, Repetition, groups, whole_text
from engine.mapping.failures import FunctionError, failed
from engine.mapping.form import literal_of
from engine.mapping.functions.lists import flat
from engine.mapping.functions.text import texts_of
from engine.mapping.operators import otherwise
from engine.mapping.paths_hl7v2 import field_exists, first_of
from engine.mapping.placed import noting
from engine.mapping.runstate import DOCUMENT, MAX_TEXT, Run
from engine.mapping.values import leaf, text_of

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


def compile_group(compiler: ExpressionCompiler, call: Call) -> Compiled:
    name = literal_of(compiler, call.arguments[0])
    if name is None:
        return NOTHING_AT_ALL
    length = SEGMENTED.get(compiler.unit.format)
    if not (len(name) == length and name.isalnum() and name.isupper()):
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
        outer = run[inside]
        found = groups(outer.segments, name)
        for group in found:
            if outer.__class__ is SegmentGroup:
                group.around = outer
            else:
                group.header, group.around = {**outer.header, **group.header}, outer.around
        return found or None

    return Compiled(nested)


def compile_text(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    code, where = inner.code, str(compiler.place(call))

    def text(run: Run, value: Any) -> Any:
        kind = value.__class__
        if kind is str or value is None or value is NULL:
            return value
        if kind is Repetition or kind is Component:
            return whole_text(run, value)
        if kind is Element:
            return text_inside(value)
        if kind is list:
            found = [text(run, item) for item in value]
            return [item for item in found if item is not None] or None
        try:
            return text_of(value)
        except ValueError as error:
            raise failed("R301", where, f"text() failed: {error}") from None

    if inner.constant:
        return constant(text([], inner.value))
    if compiler.unit.trace:
        code = noting(code, tested=False)
    return compiler.traced(Compiled(lambda run: text(run, code(run))), call.arguments[0])


def compile_narrative_html(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    code = inner.code

    def html(run: Run) -> Any:
        value = code(run)
        if value.__class__ is list:
            value = value[0] if value else None
        return narrative_html(value) if value.__class__ is Element else None

    return compiler.traced(Compiled(html), call.arguments[0])


def compile_exists(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    if inner.constant:
        return constant(inner.value not in (None, NULL, []))
    fast = _field_exists(compiler, call.arguments[0])
    if fast is not None:
        return fast
    code = noting(inner.code, tested=True) if compiler.unit.trace else inner.code

    def exists(run: Run) -> bool:
        value = code(run)
        return False if value is None else is_there(run, value)

    return Compiled(exists)


def _field_exists(compiler: ExpressionCompiler, node: Expr) -> Compiled | None:
    """``exists($x.5)`` without making a node of a field that is not there."""
    match node:
        case Path(Variable(name), (Number(number),)) if compiler.unit.format in SEGMENTED:
            binding = compiler.scope.find(name)
            if binding is None or binding.holds_segment or compiler.unit.trace:
                return None

            def slow(run: Run, node: Any) -> bool:
                return is_there(run, first_of(run, node, number))

            return Compiled(field_exists(binding.cell, number, slow))
    return None


def is_there(run: Run, value: Any) -> bool:
    """Whether a node holds something: of a field or component any of its parts."""
    if value is None or value is NULL:
        return False
    if value.__class__ is Repetition or value.__class__ is Component:
        return whole_text(run, value) not in (None, NULL)
    return value.__class__ is not list or bool(value)


def compile_count(compiler: ExpressionCompiler, call: Call) -> Compiled:
    inner = compiler.node(call.arguments[0])
    code = inner.code

    def count(run: Run) -> int:
        value = code(run)
        if value is None:
            return 0
        return len(value) if value.__class__ is list else 1

    return constant(count([])) if inner.constant else Compiled(count)


def compile_end(position: int) -> Callable[[ExpressionCompiler, Call], Compiled]:
    def compile(compiler: ExpressionCompiler, call: Call) -> Compiled:
        inner = compiler.node(call.arguments[0])
        code, where = inner.code, str(compiler.place(call))

        def end(run: Run) -> Any:
            value = code(run)
            if value.__class__ is list:
                value = value[position] if value else None
            if value.__class__ in (Repetition, Component, Element):
                return leaf(run, value)
            if value.__class__ in (Segment, *GROUPS):
                raise failed("R304", where, "a segment is not a value: name one of its fields")
            return value

        if inner.constant:
            return constant(end([]))
        return compiler.traced(Compiled(end), call.arguments[0])

    return compile


def compile_default(compiler: ExpressionCompiler, call: Call) -> Compiled:
    return otherwise(compiler.value(call.arguments[0]), compiler.value(call.arguments[1]))


def compile_list(compiler: ExpressionCompiler, call: Call) -> Compiled:
    parts = [compiler.value(argument) for argument in call.arguments]
    codes, where = tuple(part.code for part in parts), str(compiler.place(call))

    def several(values: list[Any]) -> Any:
        try:
            return flat(values) or None
        except FunctionError as error:
            raise failed("R301", where, f"list() failed: {error}") from None

    def list_of(run: Run) -> Any:
        found: list[Any] = []
        nested = False
        for code in codes:
            value = code(run)
            if value is not None:
                found.append(value)
                if value.__class__ is list:
                    nested = True
        return several(found) if nested else found or None

    return Compiled(list_of)


def compile_concat(compiler: ExpressionCompiler, call: Call) -> Compiled:
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
            text = spelled(pieces)
        if len(text) > MAX_TEXT:
            raise failed("R301", where, "concat() failed: the text would be too long")
        return text or None

    def spelled(values: list[Any]) -> str:
        try:
            return "".join(texts_of(values))
        except FunctionError as error:
            raise failed("R301", where, f"concat() failed: {error}") from None

    return Compiled(concat)


def compile_try(compiler: ExpressionCompiler, call: Call) -> Compiled:
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


def compile_when(compiler: ExpressionCompiler, call: Call) -> Compiled:
    wanted = compiler.test(call.arguments[1])
    inner = compiler.value(call.arguments[0])
    code, test = inner.code, wanted.code
    if wanted.constant:
        return inner if wanted.value else constant(None)

    def when(run: Run) -> Any:
        return code(run) if test(run) else None

    return Compiled(when)


def compile_fail(compiler: ExpressionCompiler, call: Call) -> Compiled:
    text = literal_of(compiler, call.arguments[0])
    where = str(compiler.place(call))

    def fail(run: Run) -> Any:
        raise failed("R102", where, text or "stopped")

    return Compiled(fail)
