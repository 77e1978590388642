"""``$for``: the loops of an output.

A loop over groups of segments is a scope of its own: names of segments mean those of the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.formats.xml import XML_FORMATS
from engine.mapping.ast import (
    SEGMENTED,
    Call,
    Every,
    Expr,
    GroupName,
    Name,
    Number,
    Path,
    Segment,
    Variable,
    Where,
)
from engine.mapping.closures import Compiled, constant
from engine.mapping.expressions import ExpressionCompiler
from engine.mapping.grammar import is_group_name, parse_expression
from engine.mapping.loops import FOR_HEADER, loop_code, tracing_loop_code
from engine.mapping.message_groups import only_groups
from engine.mapping.paths_hl7v2 import HEADERS
from engine.mapping.runstate import Code
from engine.mapping.scope import Binding, Scope
from engine.syntax import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from engine.mapping.outputs import OutputCompiler


def compile_loop(
    outputs: OutputCompiler,
    node: Mapping,
    loop: Node,
    scope: Scope,
    path: str,
    inside: bool,
    within: Sequence | None = None,
) -> Compiled:
    """``within``: the loops inside this one, when ``$for`` is a list."""
    if isinstance(loop, Sequence) and loop.items:
        first, *rest = loop.items
        if not rest:
            return compile_loop(outputs, node, first, scope, path, inside)
        return compile_loop(
            outputs, node, first, scope, path, inside, Sequence(tuple(rest), loop.position)
        )
    header = FOR_HEADER.match(loop.text) if isinstance(loop, Scalar) else None
    if not isinstance(loop, Scalar) or header is None:
        outputs.unit.diagnostics.at(
            "M503", loop, "'$for' names a variable and what it walks", help="x in PID-3[*]"
        )
        return constant(None)
    tree = parse_expression(loop, outputs.unit.format, outputs.unit.diagnostics, start=header.end())
    compiler = ExpressionCompiler(outputs.unit, scope, loop)
    source: Code = (lambda run: None) if tree is None else compiler.node(tree).code
    layout = outputs.unit.layout
    cell, index = layout.cell(), layout.cell()
    walks_group = tree is not None and outputs.unit.format in SEGMENTED and _is_group(tree)
    if walks_group:
        source = only_groups(source)
    inner = Scope(scope, group=cell if walks_group else None)
    inner.loops = True
    # A group need not be named: its segments are found by their own names.
    place = None if walks_group else loop.at(header.start(1))
    inner.names[header[1]] = Binding(cell, place)
    binding = inner.names[header[1]]
    binding.holds_group = walks_group
    binding.segment = "" if tree is None else _segments_given(tree, scope)
    binding.holds_segment = binding.segment != ""
    inner.names["index"] = Binding(index)
    if outputs.unit.trace:
        origin = inner.names[header[1]].origin = layout.cell()
        outputs.unit.origins[cell] = origin
    in_xml = outputs.unit.format in XML_FORMATS
    if tree is not None and isinstance(tree, Path) and not _walks(tree, in_xml):
        outputs.unit.diagnostics.add(
            "M605",
            loop.at(tree.start),
            "this path gives only its first match",
            length=tree.end - tree.start,
            help="add [*] to walk all of them",
        )
    if within is None:
        body = outputs.guarded(node, inner, path, inside).code
    else:
        body = compile_loop(outputs, node, within, inner, path, inside).code
    hoisted = tuple(inner.segments.items())
    unread = tuple(memo for memo, _ in inner.memos.values())
    where = str(loop.at(header.end()))
    outputs.warn_unused(inner)
    label = "" if tree is None else compiler.source(tree)
    fields = binding.fields
    code = loop_code(source, body, cell, index, fields, hoisted, unread, where)
    if outputs.unit.trace:
        code = tracing_loop_code(
            source, body, cell, index, fields, hoisted, outputs.unit.origins, label
        )
    return Compiled(code)


def _is_group(tree: Expr) -> bool:
    if isinstance(tree, GroupName):
        return True
    if isinstance(tree, Path):
        named = [step for step in tree.steps if isinstance(step, Name | Number)]
        if named:
            return isinstance(named[-1], Name) and is_group_name(named[-1].name)
        return _is_group(tree.root)
    return isinstance(tree, Call) and tree.name == "group"


def _segments_given(tree: Expr, scope: Scope) -> str:
    """The name, when ``AL1[*]``, or ``$order.OBX[*]`` of a group, gives nothing but segments."""
    match tree:
        case Path(Segment(name), (Every(),)) if name not in HEADERS:
            return name
        case Path(Variable(variable), (Name(name), Every())) if name not in HEADERS:
            binding = scope.find(variable)
            if binding is not None and binding.holds_group and not is_group_name(name):
                return name
    return ""


def _walks(tree: Path, in_xml: bool) -> bool:
    if any(isinstance(step, Every) for step in tree.steps):
        return True
    return not isinstance(tree.steps[-1], Name | Number | (Where if in_xml else Number))
