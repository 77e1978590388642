"""Maps in expressions: each() and refer(), and the same for explaining."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.mapping.ast import SEGMENTED, Call, Expr, Path, Segment, Variable
from engine.mapping.closures import NOTHING_AT_ALL, Compiled
from engine.mapping.form import literal_of
from engine.mapping.placed import filling
from engine.mapping.places_xml import origin_code
from engine.mapping.referring import check_target, referring
from engine.mapping.remembering import by_arguments, by_text, field_text
from engine.mapping.runstate import ACCOUNT, SOURCES, STEPS, Code, Run, too_many_steps
from engine.mapping.scope import Binding, MapCode, Scope
from engine.mapping.tracing import Traced, untraced
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


def compile_each(compiler: ExpressionCompiler, call: Call) -> Compiled:
    return _compile(compiler, call, MapCode.code)


def compile_refer(compiler: ExpressionCompiler, call: Call) -> Compiled:
    if not check_target(compiler.unit, compiler.place(call), call.end - call.start):
        return NOTHING_AT_ALL
    where, trace = str(compiler.place(call)), compiler.unit.trace
    return _compile(compiler, call, lambda found: referring(found, where, None, trace=trace))


def _compile(
    compiler: ExpressionCompiler, call: Call, body_of: Callable[[MapCode], Code]
) -> Compiled:
    """``body_of`` makes the closure that is called when the arguments are in their cells."""
    holding = [_held(compiler, argument) for argument in call.arguments]
    before = [binding is not None and binding.whole for binding in holding]
    subject = compiler.node(call.arguments[0])
    name = literal_of(compiler, call.arguments[1])
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
            f"{call.name}() gives it the value first, then what follows the map's name",
        )
    del holding[1], before[1]
    for at, binding in enumerate(holding):
        if binding is not None:
            binding.passed_on(found.reads_of(at), before[at])
    code, body = subject.code, body_of(found)
    cell, others = found.cells[0], tuple(zip(found.cells[1:], extra, strict=True))
    where = str(compiler.place(call))
    if compiler.unit.trace:
        return Compiled(_traced_each(compiler, call, code, body, cell, others, where))

    text = None
    if compiler.unit.format in SEGMENTED:
        text = None if others else field_text(compiler.unit, compiler.scope, call.arguments[0])
        if text is None and call.name == "each" and not _once(compiler, call.arguments[0]):
            body = by_arguments(compiler.unit, found, body)
    several = len(others) > 1
    single = () if several else others

    codes = tuple(argument for _, argument in others) if several else ()
    places = tuple(enumerate(place for place, _ in others)) if several else ()

    def every(run: Run, items: list[Any]) -> Any:
        run[STEPS] -= len(items)
        if run[STEPS] < 0:
            raise too_many_steps(where)
        results = []
        for item in items:
            run[cell] = item
            result = body(run)
            if result.__class__ is list:
                results += result
            elif result is not None:
                results.append(result)
        return results or None

    def each(run: Run) -> Any:
        value = code(run)
        if value is None:
            return None
        given: Any = None
        if several:  # all of them first: they may call this map as well
            given = []
            for argument in codes:
                one = argument(run)
                given.append(one)
            for number, place in places:
                run[place] = given[number]
        for place, argument in single:
            given = argument(run)
            run[place] = given
        if value.__class__ is list:
            return every(run, value)
        run[STEPS] -= 1
        if run[STEPS] < 0:
            raise too_many_steps(where)
        run[cell] = value
        return body(run)

    if text is None:
        return Compiled(each)
    every_one = isinstance(call.arguments[0], Path) and len(call.arguments[0].steps) > 1
    kind = f"{call.name} {'every' if every_one else 'first'}"
    return Compiled(by_text(compiler.unit, found, text, each, kind))


def _once(compiler: ExpressionCompiler, node: Expr) -> bool:
    """Whether this is of the message, and outside all loops: nothing to be remembered for."""
    if not isinstance(node, Path) or not isinstance(node.root, Segment):
        return False
    scope: Scope | None = compiler.scope
    while scope is not None and not scope.loops:
        scope = scope.parent
    return scope is None


def _held(compiler: ExpressionCompiler, node: Expr) -> Binding | None:
    """The variable that is an argument as it is."""
    return compiler.scope.find(node.name) if isinstance(node, Variable) else None


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
    origin_of = origin_code(compiler, call.arguments[0], label)
    root = call.arguments[0].root if isinstance(call.arguments[0], Path) else call.arguments[0]
    binding = compiler.scope.find(root.name) if isinstance(root, Variable) else None
    variable = None if binding is None else binding.origin
    suffix = label[root.end - call.arguments[0].start :]
    origins = compiler.unit.origins
    items_of = filling(cell, code)
    filled = tuple((place, filling(place, argument)) for place, argument in others)

    def each(run: Run) -> Any:
        kept, run[SOURCES] = run[SOURCES], None
        value = items_of(run)
        given = [argument(run) for _, argument in filled]
        run[SOURCES] = kept
        if value is None:
            return None
        origin, known = origin_of(run), label
        if variable is not None and run[variable].__class__ is str:
            known = run[variable] + suffix  # in the terms of the message, not of a variable
            origin = known if origin == label else origin
        for (place, _), argument in zip(others, given, strict=True):
            run[place] = argument
        several = value.__class__ is list
        results = []
        for number, item in enumerate(value if several else [value], start=1):
            run[STEPS] -= 1
            if run[STEPS] < 0:
                raise too_many_steps(where)
            run[cell] = item
            run[origins[cell]] = known.replace("[*]", f"[{number}]") if several else origin
            result = body(run)
            if result is not None:
                if result.__class__ is Traced:  # text, which the expression goes on with
                    if kept is not None:
                        kept.sources += result.sources
                        kept.rules += [result.rule, *result.through]
                    if run[ACCOUNT] is not None:
                        run[ACCOUNT].now += result.places
                    result = result.value
                elif call.name == "refer" and kept is not None:
                    kept.sources.append((run[origins[cell]], untraced(item)))
                if several and result.__class__ is list:
                    results += result
                else:
                    results.append(result)
        if not several:
            return results[0] if results else None
        return results or None

    return each
