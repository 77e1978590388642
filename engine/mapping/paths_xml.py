"""Paths into XML: steps go through all children of a name, and the path gives its first match.

A path that holds ``[*]`` gives all its matches, in document order; so does, inside ``[…]``, one
that begins with ``.``.  ``[2]`` and ``[last]`` count among the children of one parent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.formats.xml import Element, direct_text
from engine.formats.xml.document import soap_body
from engine.formats.xml.names import UnknownPrefix, clark, element_tags
from engine.mapping.ast import (
    Attribute,
    Every,
    Expr,
    Index,
    Item,
    Name,
    Path,
    Step,
    Top,
    Variable,
    Where,
)
from engine.mapping.closures import NOTHING_AT_ALL, Compiled
from engine.mapping.failures import failed
from engine.mapping.paths_tree import candidates, member, present
from engine.mapping.runstate import DOCUMENT, Code, Run
from engine.mapping.scope import Scope
from engine.mapping.selection import Selector
from engine.mapping.values import NotText, leaf

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler

Move: TypeAlias = Callable[[Run, Any], Iterable[Any]]
"""From a node to the nodes one step below it."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A compiled path: where it starts, its steps, and the attribute it may end with."""

    start: Code
    roots: tuple[Selector, ...]  # of what it starts with, which may be a list
    moves: tuple[Move, ...]
    tags: tuple[tuple[str, ...], ...]  # of the steps; () when one of them has a selector
    attribute: str | None
    many: bool


def compile_xml_path(compiler: ExpressionCompiler, node: Expr, *, as_value: bool) -> Compiled:
    """The path as a value or, for a variable, as the element itself."""
    walk = walk_of(compiler, node)
    if walk is None:
        return NOTHING_AT_ALL
    code = _every(walk, as_value) if walk.many else _first(walk, as_value)
    if not as_value:
        return Compiled(code)
    where = str(compiler.place(node))

    def checked(run: Run) -> Any:
        try:
            return code(run)
        except NotText as error:
            raise failed("R304", where, str(error)) from None

    return compiler.traced(Compiled(checked if walk.attribute is None else code), node)


def walk_of(compiler: ExpressionCompiler, node: Expr) -> Walk | None:
    """None after a diagnostic."""
    root: Expr = node.root if isinstance(node, Path) else node
    steps: tuple[Step, ...] = node.steps if isinstance(node, Path) else ()
    attribute: str | None = None
    last = steps[-1] if steps else None
    if isinstance(last, Attribute):
        attribute = _resolved(compiler, last, last.name, attribute=True)
        if attribute is None:
            return None
        steps = steps[:-1]
    roots, at = _selectors(compiler, steps, 0)
    moves: list[Move] = []
    tags: list[tuple[str, ...]] = []
    selected: list[tuple[Selector, ...]] = [roots]
    while at < len(steps):
        step = steps[at]
        if not isinstance(step, Name):
            compiler.refuse("M104", step, "not a step of an XML path")
            return None
        named = _tags(compiler, step)
        if named is None:
            return None
        selectors, at = _selectors(compiler, steps, at + 1)
        if isinstance(root, Top) and not moves:
            move = _from_top(named, compiler.unit.format == "soap")
        else:
            move = _children(named, step.name)
        moves.append(_selected(move, selectors) if selectors else move)
        tags.append(named)
        selected.append(selectors)
    many = isinstance(root, Item) or any(
        s.index is None and s.test is None for part in selected for s in part
    )
    plain = not any(selected) and not isinstance(root, Top)
    start = _start(compiler, root)
    return Walk(start, roots, tuple(moves), tuple(tags) if plain else (), attribute, many)


def _selectors(
    compiler: ExpressionCompiler, steps: tuple[Step, ...], at: int
) -> tuple[tuple[Selector, ...], int]:
    """Those from ``at`` on, and where the next step is."""
    found: list[Selector] = []
    while at < len(steps):
        step = steps[at]
        if not isinstance(step, Index | Every | Where):
            break
        found.append(_selector(compiler, step))
        at += 1
    return tuple(found), at


def _start(compiler: ExpressionCompiler, root: Expr) -> Code:
    if isinstance(root, Top):
        return lambda run: run[DOCUMENT].value
    if isinstance(root, Item):
        item = compiler.scope.item
        assert item is not None  # noqa: S101 - the grammar allows '.' in […] only
        return lambda run: run[item]
    if isinstance(root, Variable):
        binding = compiler.binding(root)
        if binding is None:
            return NOTHING_AT_ALL.code
        cell = binding.cell
        return lambda run: run[cell]
    return compiler.node(root).code


def _tags(compiler: ExpressionCompiler, step: Name) -> tuple[str, ...] | None:
    try:
        return element_tags(step.name, compiler.unit.namespaces)
    except UnknownPrefix as error:
        _unknown(compiler, step, str(error.args[0]))
        return None


def _resolved(
    compiler: ExpressionCompiler, step: Step, name: str, *, attribute: bool
) -> str | None:
    try:
        return clark(name, compiler.unit.namespaces, attribute=attribute)
    except UnknownPrefix as error:
        _unknown(compiler, step, str(error.args[0]))
        return None


def _unknown(compiler: ExpressionCompiler, step: Step, prefix: str) -> None:
    compiler.refuse(
        "M151",
        step,
        f"no namespace is declared for the prefix '{prefix}'",
        f"from: {{format: {compiler.unit.format}, namespaces: {{{prefix}: 'urn:…'}}}}",
    )


def _selector(compiler: ExpressionCompiler, step: Index | Every | Where) -> Selector:
    if isinstance(step, Index):
        return Selector(index=step.index)
    if isinstance(step, Every):
        return Selector()
    scope = Scope(compiler.scope)
    scope.item = compiler.unit.layout.cell()
    inner = compiler.sibling(scope, compiler.scalar)
    return Selector(test=inner.test(step.test).code, cell=scope.item)


# --- steps ------------------------------------------------------------------------------


def _children(tags: tuple[str, ...], name: str) -> Move:
    def children(run: Run, node: Any) -> Iterable[Any]:
        if node.__class__ is Element:
            return node.iterchildren(*tags)  # type: ignore[no-any-return]
        if node.__class__ is dict:  # what a function has put together
            return [present(item) for item in candidates(member(node, name, False))]
        return ()

    return children


def _from_top(tags: tuple[str, ...], soap: bool) -> Move:
    """The root element, when it has this name.  A SOAP path begins at the envelope or at an
    element of its body; ``/*`` is the body's first."""
    wild = tags == ("*",)

    def named(root: Any) -> bool:
        if wild:
            return True
        tag = root.tag
        return any(
            tag == wanted or (wanted.startswith("{*}") and tag.rpartition("}")[2] == wanted[3:])
            for wanted in tags
        )

    def from_root(run: Run, root: Any) -> Iterable[Any]:
        return (root,) if named(root) else ()

    def from_envelope(run: Run, root: Any) -> Iterable[Any]:
        body = soap_body(root)
        if body is not None and not (not wild and named(root)):
            return body.iterchildren(*tags)  # type: ignore[no-any-return]
        return from_root(run, root)

    return from_envelope if soap else from_root


def _selected(move: Move, selectors: tuple[Selector, ...]) -> Move:
    return lambda run, node: _picked(run, move(run, node), selectors)


def _picked(run: Run, found: Iterable[Any], selectors: tuple[Selector, ...]) -> Iterable[Any]:
    for selector in selectors:
        if selector.index is not None:
            at, listed = selector.index, list(found)
            found = listed[-1:] if at == -1 else listed[at - 1 : at]
        elif selector.test is not None:
            found = _where(run, found, selector.test, selector.cell)
    return found


def _where(run: Run, found: Iterable[Any], test: Code, cell: int) -> Iterable[Any]:
    for item in found:
        if item is not None:
            run[cell] = item
            if test(run):
                yield item


# --- whole paths ------------------------------------------------------------------------


def roots(run: Run, walk: Walk) -> Iterable[Any]:
    """What the path starts with."""
    start = walk.start(run)
    if start is None:
        return ()
    found: Iterable[Any] = start if start.__class__ is list else (start,)
    return _picked(run, found, walk.roots) if walk.roots else found


def nodes(run: Run, walk: Walk) -> list[Any]:
    """All that the path finds, before its attribute is read."""
    found = list(roots(run, walk))
    for move in walk.moves:
        found = [child for node in found for child in move(run, node)]
    return [node for node in found if node is not None]


def attribute_of(node: Any, name: str) -> Any:
    return present(node.get(name)) if node.__class__ is Element else None


def _every(walk: Walk, as_value: bool) -> Code:
    attribute = walk.attribute

    def every(run: Run) -> Any:
        found = nodes(run, walk)
        if attribute is not None:
            found = [attribute_of(node, attribute) for node in found]
        elif as_value:
            found = [leaf(run, node) for node in found]
        return [one for one in found if one is not None] or None

    return every


def _first(walk: Walk, as_value: bool) -> Code:
    moves, attribute, tags = walk.moves, walk.attribute, walk.tags
    length = len(moves)

    def search(run: Run, node: Any, at: int) -> Any:
        if at == length:
            return node if attribute is None else attribute_of(node, attribute)
        for child in moves[at](run, node):
            if child is not None:
                found = search(run, child, at + 1)
                if found is not None:
                    return found
        return None

    def first(run: Run) -> Any:
        for root in roots(run, walk):
            if root is not None:
                found = search(run, root, 0)
                if found is not None:
                    return leaf(run, found) if as_value else found
        return None

    if walk.roots or (length and not tags):
        return first
    start = walk.start
    if attribute is None:
        return _straight(start, tags, first, as_value)
    return _straight_to_attribute(start, tags, attribute, first)


def _straight(start: Code, tags: tuple[tuple[str, ...], ...], search: Code, as_value: bool) -> Code:
    """Down the first child of each name; only where that ends early the others are searched."""

    def straight(run: Run) -> Any:
        node = start(run)
        if node.__class__ is not Element:
            return None if node is None else search(run)
        for names in tags:
            node = next(node.iterchildren(*names), None)
            if node is None:
                return search(run)
        return direct_text(node) if as_value else node

    return straight


def _straight_to_attribute(
    start: Code, tags: tuple[tuple[str, ...], ...], attribute: str, search: Code
) -> Code:
    def straight(run: Run) -> Any:
        node = start(run)
        if node.__class__ is not Element:
            return None if node is None else search(run)
        for names in tags:
            node = next(node.iterchildren(*names), None)
            if node is None:
                return search(run)
        value = node.get(attribute)
        if value is None or not value or value.isspace():
            return search(run)
        return value

    return straight


def as_values(found: Compiled) -> Compiled:
    """Elements as their texts."""
    code = found.code

    def values(run: Run) -> Any:
        value = code(run)
        return leaf(run, value)

    return found if found.constant else Compiled(values)
