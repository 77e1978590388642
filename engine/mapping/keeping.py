"""What FHIR and others have no place for travels along: rest() takes it out of an HL7 v2 source,
``$rest`` puts it back into an HL7 v2 target."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from engine.formats.hl7v2 import Hl7Message
from engine.formats.hl7v2.rest import Reads, Rest, rest_of
from engine.mapping.ast import Call
from engine.mapping.closures import Compiled
from engine.mapping.form import literal_of
from engine.mapping.message_groups import message_root
from engine.mapping.runstate import DOCUMENT, Code, Run
from engine.mapping.scope import Scope, Unit
from engine.mapping.tracing import untraced
from engine.mapping.values import leaf
from engine.syntax import Node, Scalar

_FIELD: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d{1,3})")

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler
    from engine.mapping.outputs import OutputCompiler


def compile_rest(compiler: ExpressionCompiler, call: Call) -> Compiled:
    """The reads are worked out when the first message comes, after everything is compiled."""
    unit = compiler.unit
    if unit.format != "hl7v2":
        return compiler.refuse("M312", call, "rest() is of HL7 v2 messages")
    kept = []
    for argument in call.arguments:
        place = _FIELD.fullmatch(literal_of(compiler, argument) or "")
        if place is None:
            return compiler.refuse("M312", argument, "a field is wanted here", "'PV2-13'")
        kept.append((place[1], int(place[2])))

    @cache
    def reads() -> Reads:
        found = unit.what_is_read()
        for place, segment in found.items():
            for name, number in kept:
                if name == place.name:
                    segment.fields.pop(number, None)
        return found

    def rest(run: Run) -> Any:
        document = run[DOCUMENT]
        if not isinstance(document, Hl7Message):
            return None
        root = None if unit.groups_cell is None else message_root(unit)(run)
        return rest_of(document, reads(), root)

    return Compiled(rest)


def compile_putting_back(outputs: OutputCompiler, value: Node, scope: Scope) -> Code | None:
    """The value of ``$rest``, as `write_tree` takes it."""
    unit: Unit = outputs.unit
    if unit.target != "hl7v2" or not isinstance(value, Scalar):
        unit.diagnostics.at("M312", value, "$rest is an expression in an HL7 v2 output")
        return None
    code = outputs.expression(value, scope).code
    written = unit.written

    def putting_back(run: Run) -> Any:
        found = untraced(leaf(run, code(run)))
        return Rest(found, frozenset(written)) if found.__class__ is str and found else None

    return putting_back
