"""Where in an XML document a value was read, for explaining and for the ledger.

A variable knows the place of what it was given; a path from it is that place and its steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.formats.hl7v2.segment import Segment
from engine.formats.xml import XML_FORMATS, Element, place_of, text_inside
from engine.mapping.ast import Attribute, Expr, Path, Variable
from engine.mapping.paths_xml import attribute_of, nodes, walk_of
from engine.mapping.runstate import Code, Run

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


def places_code(compiler: ExpressionCompiler, node: Expr) -> Code | None:
    """The places of what a path reads, in the order of its values; None for other expressions.

    Where something is no element of the input, the run gets None for its place.
    """
    if isinstance(node, Variable):
        binding = compiler.scope.find(node.name)
        if binding is None:
            return None
        cell = binding.cell

        def of_variable(run: Run) -> Any:
            value = run[cell]
            found = value if value.__class__ is list else [value]
            return [place_of(item) if item.__class__ is Element else None for item in found]

        return of_variable
    if not isinstance(node, Path):
        return None
    walk = walk_of(compiler, node)
    if walk is None:
        return None
    attribute = walk.attribute
    last = node.steps[-1]
    suffix = f"/@{last.name}" if isinstance(last, Attribute) else ""

    def of_path(run: Run) -> Any:
        places: list[Any] = []
        for found in nodes(run, walk):
            if found.__class__ is not Element:
                places.append(None)
            elif attribute is None:
                if walk.many and text_inside(found) is None:
                    continue
                places.append(place_of(found))
            elif attribute_of(found, attribute) is not None:
                places.append(place_of(found) + suffix)
            else:
                continue
            if not walk.many:
                break
        return places

    return of_path


def origin_code(compiler: ExpressionCompiler, node: Expr | None, label: str) -> Code:
    """The place of what a variable is given, as its origin: exact for a single one in XML, and for
    what another variable holds."""
    xml = node is not None and compiler.unit.format in XML_FORMATS
    places = places_code(compiler, node) if xml and node is not None else None
    if places is None:
        return _below_origin(compiler, node, label)
    known = places

    def origin(run: Run) -> Any:
        found = known(run)
        return found[0] if len(found) == 1 and found[0] is not None else label

    return origin


def _below_origin(compiler: ExpressionCompiler, node: Expr | None, label: str) -> Code:
    """The origin of a variable and the steps from it; else the label."""
    root = node.root if isinstance(node, Path) else node
    binding = compiler.scope.find(root.name) if isinstance(root, Variable) else None
    if node is None or root is None or binding is None or binding.origin is None:
        return lambda run: label
    origin, cell = binding.origin, binding.cell
    suffix = compiler.scalar.text[root.end : node.end]
    return lambda run: place_below(run[cell], run[origin], suffix) or label


def place_below(value: Any, known: Any, suffix: str) -> Any:
    """The place that a path from a variable means, also where nothing is."""
    if value.__class__ is Element:
        return place_of(value) + suffix
    if value.__class__ is Segment and suffix.startswith("."):
        suffix = f"-{suffix[1:]}"
    return None if known is None else known + suffix
