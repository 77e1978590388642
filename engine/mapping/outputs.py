"""Output nodes to closures: the tree under ``out:`` becomes the tree that is sent.

A closure gives its part of the output, or None when it holds nothing; what holds nothing is left
out.  Nothing of a mapping is ever shared with its output; parts of one output may be the same
object (`engine.mapping.remembering`), so no part is changed once it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dictionary
from typing import Any, Final

from engine.formats.hl7v2.writing import REST
from engine.formats.null import NULL
from engine.formats.xml import XML_FORMATS
from engine.mapping.ast import SEGMENTED, Expr
from engine.mapping.closures import Compiled, constant
from engine.mapping.copying import compile_copy
from engine.mapping.directives import (
    SPREADS,
    compile_case,
    compile_first,
    compile_merge,
    compile_raising,
    compile_refer,
    compile_use,
)
from engine.mapping.expressions import ExpressionCompiler
from engine.mapping.fusing import fuse_later
from engine.mapping.grammar import is_expression, parse_expression
from engine.mapping.invariants import since
from engine.mapping.keeping import compile_putting_back
from engine.mapping.looks import looks_like_expression
from engine.mapping.namespaces import check_key
from engine.mapping.nulls import copying, may_be_list, without_null
from engine.mapping.objects import list_of_items, list_of_one, object_code, single_item
from engine.mapping.output_loops import compile_loop
from engine.mapping.overlay_paths import repeated_labels
from engine.mapping.placed import filling, lifted, testing
from engine.mapping.places_xml import origin_code
from engine.mapping.runstate import ACCOUNT, SOURCES, Code, Run
from engine.mapping.scope import Binding, MapCode, Scope, Unit
from engine.mapping.tables import literal_text
from engine.mapping.tracing import Reading, Rule, joined, traced_value
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

_DIRECTIVES: Final = (
    "$for", "$if", "$let", "$case", "$of", "$else", "$use", "$refer", "$with", "$first", "$merge",
    "$raise", "$copy", "$rest", "$id",
)  # fmt: skip
_NEEDS: Final = {"$of": ("$case",), "$else": ("$case",), "$with": ("$use", "$refer")}
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_RECORD: Final = re.compile(r"[A-Z]")


class OutputCompiler:
    """Compiles the output nodes of one unit and collects its rules."""

    def __init__(self, unit: Unit, target: str) -> None:
        self.unit, self.target = unit, target
        self.rules: list[Rule] = []
        self.drops_null = target == "fhir" or target in XML_FORMATS
        self.namespaces: Dictionary[str, str] = {}  # of an XML target
        self.version = ""  # of HL7 v2, as ``to:`` says
        self.types: dict[str, MapCode] = {}  # what ``$copy`` calls for a datatype

    def whole(self, code: Code, arguments: tuple[int, ...] = ()) -> Code:
        """One function for all that ``code`` calls; explaining keeps the closures apart."""
        return code if self.unit.trace else fuse_later(code, arguments)

    # --- any node -----------------------------------------------------------------------

    def compile(self, node: Node, scope: Scope, path: str, *, inside: bool = False) -> Compiled:
        """``inside``: within a segment of an HL7 v2 target, where keys are numbers."""
        match node:
            case Scalar():
                return self.leaf(node, scope, path)
            case Sequence():
                return self.sequence(node, scope, path, inside)
            case Mapping():
                return self.object(node, scope, path, inside)

    def leaf(self, scalar: Scalar, scope: Scope, path: str) -> Compiled:
        rule = Rule(path, scalar.position)
        self.rules.append(rule)
        if not is_expression(scalar.text):
            found = self.literal(scalar)
        else:
            tree = parse_expression(scalar, self.unit.format, self.unit.diagnostics)
            found = self.compiled(tree, scalar, scope)
            if found.constant and (found.value is None or isinstance(found.value, str | bool)):
                pass
            elif self.unit.format not in SEGMENTED or found.constant:
                found = copying(found.code, self.drops_null)
            elif self.drops_null and tree is not None and may_be_list(tree):
                found = without_null(found.code)
        return self.traced(found, rule) if self.unit.trace else found

    def literal(self, scalar: Scalar) -> Compiled:
        help = looks_like_expression(scalar, self.unit.format)
        if help is not None:
            self.unit.diagnostics.at(
                "M401",
                scalar,
                f"'{scalar.text.strip()}' is text here, but looks like {help.what}",
                help=f"write '= {scalar.text.strip()}', or quote it to keep it as text",
            )
        text = literal_text(scalar.text)
        if not scalar.quoted and not scalar.block and self.target not in SEGMENTED:
            return constant(_TYPED.get(text, text))
        return constant(text)

    def expression(self, scalar: Scalar, scope: Scope, *, start: int | None = None) -> Compiled:
        tree = parse_expression(scalar, self.unit.format, self.unit.diagnostics, start=start)
        return self.compiled(tree, scalar, scope)

    def compiled(self, tree: Expr | None, scalar: Scalar, scope: Scope) -> Compiled:
        if tree is None:
            return constant(None)
        return ExpressionCompiler(self.unit, scope, scalar).value(tree)

    def test(self, scalar: Scalar, scope: Scope) -> Code:
        tree = parse_expression(scalar, self.unit.format, self.unit.diagnostics)
        if tree is None:
            return lambda run: False
        before = len(self.unit.diagnostics)
        found = ExpressionCompiler(self.unit, scope, scalar).test(tree)
        if found.constant and not found.value and len(self.unit.diagnostics) == before:
            problem = "this is never reached: the condition is never true"
            self.unit.diagnostics.at("M607", scalar, problem, help="mend the condition")
        return found.code

    def node_value(self, node: Node, scope: Scope, *, binding: Binding | None = None) -> Compiled:
        """What a variable or an argument holds: an expression, undecoded, or a literal."""
        if not isinstance(node, Scalar):
            self.unit.diagnostics.at(
                "M501", node, "a single value is wanted here", help="write = and an expression"
            )
            return constant(None)
        if not is_expression(node.text) and not node.text.startswith("$"):
            return self.literal(node)
        tree = parse_expression(node, self.unit.format, self.unit.diagnostics)
        if tree is None:
            return constant(None)
        compiler = ExpressionCompiler(self.unit, scope, node)
        found = compiler.node(tree)
        if binding is not None:
            binding.since = since(tree, scope)
            return compiler.invariant(tree, found)
        return found

    def traced(self, found: Compiled, rule: Rule) -> Compiled:
        code = found.code
        drops_null = self.drops_null

        def traced(run: Run) -> Any:
            kept, run[SOURCES] = run[SOURCES], Reading()
            account = run[ACCOUNT]
            if account is None:
                value = code(run)
            else:
                with account.own() as run[SOURCES].places:
                    value = lifted(code(run), run[SOURCES].places)
            read, run[SOURCES] = run[SOURCES], kept
            if value is None or (value is NULL and drops_null):
                if account is not None:
                    account.tested += read.places
                return None
            return traced_value(value, rule, read)

        return Compiled(traced)

    # --- lists --------------------------------------------------------------------------

    def sequence(self, node: Sequence, scope: Scope, path: str, inside: bool) -> Compiled:
        unwanted = NULL if self.drops_null else None
        for label in repeated_labels(node.items):
            problem = f"another entry of this list has the $id '{label.text}'"
            self.unit.diagnostics.at("M024", label, problem)
        parts: list[tuple[Code, bool]] = []
        for number, item in enumerate(node.items, start=1):
            found = self.compile(item, scope, f"{path}[{number}]", inside=inside)
            parts.append((found.code, not isinstance(item, Sequence)))
        if len(parts) == 1 and _gives_object(node.items[0]):
            return Compiled(list_of_one(parts[0][0]))
        if len(parts) == 1 and parts[0][1]:
            return Compiled(single_item(parts[0][0], unwanted))
        return Compiled(list_of_items(tuple(parts), unwanted))

    # --- objects ------------------------------------------------------------------------

    def object(self, node: Mapping, scope: Scope, path: str, inside: bool) -> Compiled:
        self.check_directives(node)
        loop = node.get("$for")
        if loop is not None:
            return compile_loop(self, node, loop, scope, path, inside)
        return self.guarded(node, scope, path, inside)

    def check_directives(self, node: Mapping) -> None:
        keys = set(node.keys())
        for key, _ in node.entries:
            name = key.text
            if not name.startswith("$"):
                continue
            if name not in _DIRECTIVES:
                self.unit.diagnostics.at(
                    "M501",
                    key,
                    f"unknown directive '{name}'",
                    help=did_you_mean(name, _DIRECTIVES)
                    or "a key that begins with '$' is a directive",
                )
            elif name in _NEEDS and keys.isdisjoint(_NEEDS[name]):
                needed = "' or '".join(_NEEDS[name])
                self.unit.diagnostics.at("M502", key, f"'{name}' stands without '{needed}'")
            elif name == "$case" and "$of" not in keys:
                self.unit.diagnostics.at("M502", key, "'$case' stands without '$of'")

    def guarded(self, node: Mapping, scope: Scope, path: str, inside: bool) -> Compiled:
        """``$let``, then ``$if``, then the content."""
        lets: list[tuple[int, Code]] = []
        given = node.get("$let")
        if isinstance(given, Mapping):
            scope_of_lets = Scope(scope)
            lets = self.lets(given, scope_of_lets)
            scope = scope_of_lets
        elif given is not None:
            self.unit.diagnostics.at("M501", given, "'$let' is a mapping of names to values")
        condition = node.get("$if")
        test: Code | None = None
        if isinstance(condition, Scalar):
            test = self.test(condition, scope)
            if self.unit.trace:
                test = testing(test)
        elif condition is not None:
            self.unit.diagnostics.at("M501", condition, "'$if' is a single expression")
        content = self.content(node, scope, path, inside)
        if isinstance(given, Mapping):
            self.warn_unused(scope)
        if test is None and not lets:
            return content
        inner = content.code
        if not lets:
            assert test is not None  # noqa: S101
            wanted = test

            def conditional(run: Run) -> Any:
                return inner(run) if wanted(run) else None

            return Compiled(conditional)
        assigned = tuple(lets)

        def guarded(run: Run) -> Any:
            for cell, value in assigned:
                found = value(run)
                run[cell] = found
            if test is not None and not test(run):
                return None
            return inner(run)

        return Compiled(guarded)

    def lets(self, given: Mapping, scope: Scope) -> list[tuple[int, Code]]:
        """Cells and their values, in the order of the file; each sees those before it."""
        assigned: list[tuple[int, Code]] = []
        for key, value in given.entries:
            binding = Binding(self.unit.layout.cell(), key.position)
            found = self.node_value(value, scope, binding=binding)
            if not key.text.isidentifier():
                self.unit.diagnostics.at("M007", key, f"'{key.text}' cannot be a name")
            elif key.text in scope.names:
                self.unit.diagnostics.at("M007", key, f"'{key.text}' has a meaning already")
            scope.names[key.text] = binding
            if self.unit.trace and isinstance(value, Scalar):
                assigned.append(self.origin_of_let(binding, value, scope))
                found = Compiled(filling(binding.cell, found.code))
            assigned.append((binding.cell, found.code))
        return assigned

    def origin_of_let(self, binding: Binding, value: Scalar, scope: Scope) -> tuple[int, Code]:
        binding.origin = self.unit.layout.cell()
        self.unit.origins[binding.cell] = binding.origin
        return binding.origin, self.origin_of(value, scope)

    def origin_of(self, value: Scalar, scope: Scope) -> Code:
        """Explaining only: where what this scalar gives to a variable comes from."""
        text = value.text.removeprefix("=").strip()
        tree = None
        if is_expression(value.text):
            tree = parse_expression(value, self.unit.format, Diagnostics())
        return origin_code(ExpressionCompiler(self.unit, scope, value), tree, text)

    def warn_unused(self, scope: Scope) -> None:
        for name, binding in scope.names.items():
            if not binding.used and binding.position is not None and not self.unit.trace:
                self.unit.diagnostics.add(
                    "M601",
                    binding.position,
                    f"'{name}' is never used",
                    length=len(name),
                    help=f"use it as ${name}, or remove it",
                )

    def content(self, node: Mapping, scope: Scope, path: str, inside: bool) -> Compiled:
        keys = [key for key, _ in node.entries if not key.text.startswith("$")]
        spreads = [key for key, _ in node.entries if key.text in SPREADS]
        copy = node.key("$copy")
        if copy is not None:
            return compile_copy(self, copy, node, scope, path, inside)
        merge = node.key("$merge")
        if merge is not None:
            return compile_merge(self, merge, node, scope, path, inside)
        if not keys and len(spreads) == 1:
            return self.spread(spreads[0], node, scope, path, inside)
        constants: dict[Any, Any] = {}
        computed: list[tuple[Any, Code]] = []
        merged: list[tuple[Code, str]] = []
        for key, value in node.entries:
            if key.text in SPREADS:
                found = self.spread(key, node, scope, path, inside)
                merged.append((found.code, str(key.position)))
                continue
            if key.text == REST:
                back = compile_putting_back(self, value, scope)
                if back is not None:
                    constants[REST] = None
                    computed.append((REST, back))
                continue
            if key.text.startswith("$"):
                continue
            name, within = self.key(key, inside)
            below = self.compile(value, scope, joined(path, key.text), inside=within)
            if below.constant and isinstance(below.value, str | bool | int):
                constants[name] = below.value
            elif not below.constant or below.value is not None:
                constants[name] = None  # keeps the place of the key
                computed.append((name, below.code))
        return Compiled(object_code(constants, tuple(computed), tuple(merged), self.drops_null))

    def key(self, key: Scalar, inside: bool) -> tuple[Any, bool]:
        """The output's key, and whether what is below it is inside a segment."""
        text = key.text
        if is_expression(text):
            self.unit.diagnostics.at("M507", key, "a key is literal text")
        if self.target in XML_FORMATS:
            check_key(key, self.namespaces, self.unit.diagnostics)
        if self.target not in SEGMENTED:
            return literal_text(text), False
        if text.isdecimal() and text.isascii() and 0 < int(text) < 10_000:
            return int(text), True
        if inside:
            self.unit.diagnostics.at(
                "M506",
                key,
                f"'{text}' is not a number",
                help="within a segment, keys are field, component and sub-component numbers",
            )
        segment = (_RECORD if self.target == "astm" else _SEGMENT).fullmatch(text)
        if segment is not None:
            self.unit.written.add(text)
        return text, inside or segment is not None

    # --- directives that give content ---------------------------------------------------

    def spread(self, key: Scalar, node: Mapping, scope: Scope, path: str, inside: bool) -> Compiled:
        value = node.get(key.text)
        assert value is not None  # noqa: S101
        match key.text:
            case "$case":
                return compile_case(self, key, node, scope, path, inside)
            case "$use":
                return compile_use(self, key, value, node.get("$with"), scope)
            case "$refer":
                return compile_refer(self, key, node, scope, joined(path, "reference"))
            case "$first":
                return compile_first(self, value, scope, path, inside)
            case _:
                return compile_raising(self, value)


_TYPED: Final[Dictionary[str, bool]] = {"true": True, "false": False}


def _gives_object(node: Node) -> bool:
    """Whether this can only be an object or nothing: no loop, and no directive for its content."""
    return isinstance(node, Mapping) and not any(
        key.text == "$for" or key.text in SPREADS for key, _ in node.entries
    )
