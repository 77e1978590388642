"""Forms that walk the segments of an HL7 v2 message in their order, for what passes it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.formats.hl7v2 import Segment
from engine.mapping.ast import Call
from engine.mapping.closures import NOTHING_AT_ALL, Compiled
from engine.mapping.form import literal_of
from engine.mapping.runstate import DOCUMENT, UNREAD, Code, Run

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


def compile_segments(compiler: ExpressionCompiler, call: Call) -> Compiled:
    """All segments of the message behind its MSH."""
    if not _of_message(compiler, call):
        return NOTHING_AT_ALL

    def segments(run: Run) -> Any:
        return list(run[DOCUMENT].all[1:]) or None

    return Compiled(segments)


def _names(compiler: ExpressionCompiler, call: Call) -> list[str] | None:
    """The segment that is looked for and those that end the search; None after a diagnostic."""
    if not _of_message(compiler, call):
        return None
    names = [literal_of(compiler, argument) for argument in call.arguments[1:]]
    known = [name for name in names if name is not None]
    return known if len(known) == len(names) else None


def compile_following(compiler: ExpressionCompiler, call: Call) -> Compiled:
    """Segments of a name behind a segment, up to the first that ends its part of the message."""
    names = _names(compiler, call)
    if names is None:
        return NOTHING_AT_ALL
    wanted, ends = names[0], frozenset(names[1:])
    given = compiler.node(call.arguments[0]).code
    order = _order(compiler)

    def following(run: Run) -> Any:
        segment = given(run)
        if segment.__class__ is not Segment:
            return None
        every, places = order(run)
        found = []
        for at in range(places[id(segment)] + 1, len(every)):
            name = every[at].name
            if name in ends:
                break
            if name == wanted:
                found.append(every[at])
        return found or None

    return Compiled(following)


def compile_preceding(compiler: ExpressionCompiler, call: Call) -> Compiled:
    """The nearest segment of a name before a segment, behind the last that ends its part."""
    names = _names(compiler, call)
    if names is None:
        return NOTHING_AT_ALL
    wanted, ends = names[0], frozenset(names[1:])
    given = compiler.node(call.arguments[0]).code
    order = _order(compiler)

    def preceding(run: Run) -> Any:
        segment = given(run)
        if segment.__class__ is not Segment:
            return None
        every, places = order(run)
        for at in range(places[id(segment)] - 1, -1, -1):
            if every[at].name == wanted:
                return every[at]
            if every[at].name in ends:
                return None
        return None

    return Compiled(preceding)


def compile_segment_name(compiler: ExpressionCompiler, call: Call) -> Compiled:
    """``PID``; nothing for what is no segment."""
    given = compiler.node(call.arguments[0]).code

    def segment_name(run: Run) -> Any:
        segment = given(run)
        return segment.name if segment.__class__ is Segment else None

    return Compiled(segment_name)


def _of_message(compiler: ExpressionCompiler, call: Call) -> bool:
    if compiler.unit.format != "hl7v2":
        compiler.refuse("M109", call, f"{call.name}() reads HL7 v2 messages", "")
        return False
    if compiler.scope.within_map:
        compiler.refuse("M308", call, "a map sees only its arguments", "give it as an argument")
        return False
    return True


def _order(compiler: ExpressionCompiler) -> Code:
    """The segments of the message, and where each of them is, found out once a run."""
    unit = compiler.unit
    if unit.order_cell is None:
        unit.order_cell = unit.layout.cell(UNREAD)
    cell = unit.order_cell

    def order(run: Run) -> Any:
        known = run[cell]
        if known is UNREAD:
            every = list(run[DOCUMENT].all)
            known = run[cell] = every, {id(one): at for at, one in enumerate(every)}
        return known

    return order
