"""Directives that give content: `$case`, `$use`, `$refer`, `$merge`, `$first`, `$raise`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from engine.formats.null import NULL
from engine.mapping.ast import Expr, Variable
from engine.mapping.certain import certain
from engine.mapping.closures import Compiled, constant
from engine.mapping.failures import failed
from engine.mapping.grammar import is_expression, parse_expression
from engine.mapping.merging import merging
from engine.mapping.placed import filling, testing
from engine.mapping.referring import check_target, referring
from engine.mapping.remembering import by_text, field_text
from engine.mapping.runstate import STEPS, Code, Run, too_many_steps
from engine.mapping.scope import MapCode, Scope
from engine.mapping.tables import literal_text
from engine.mapping.tracing import Rule, joined
from engine.mapping.values import text_of
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.outputs import OutputCompiler

SPREADS: Final = ("$case", "$use", "$refer", "$first", "$merge", "$raise")
"""Those whose content is merged with the keys beside them."""


def compile_case(
    outputs: OutputCompiler, key: Scalar, node: Mapping, scope: Scope, path: str, inside: bool
) -> Compiled:
    subject, of = node.get("$case"), node.get("$of")
    if of is None:
        return constant(None)
    if not isinstance(subject, Scalar) or not isinstance(of, Mapping):
        outputs.unit.diagnostics.at(
            "M502", key, "'$case' is an expression, '$of' a mapping of its values"
        )
        return constant(None)
    value_of = outputs.expression(subject, scope)
    if value_of.constant and value_of.value is not None:
        problem = "the value is always the same: the other branches are never reached"
        outputs.unit.diagnostics.at("M607", subject, problem, help="name what the branches are for")
    chosen = value_of.code
    if outputs.unit.trace:
        chosen = testing(chosen)
    where = str(subject.position)
    branches: dict[str, Code] = {}
    for label, branch in of.entries:
        below = outputs.compile(branch, scope, joined(path, label.text), inside=inside)
        code = outputs.whole(below.code)
        for text in label.text.split("|"):
            if text.strip() in branches:
                outputs.unit.diagnostics.at("M508", label, f"'{text.strip()}' stands twice")
            branches.setdefault(text.strip(), code)
    otherwise: Code = lambda run: None  # noqa: E731
    default = node.get("$else")
    if default is not None:
        otherwise = outputs.compile(default, scope, joined(path, "else"), inside=inside).code

    def spelled(value: Any) -> str | None:
        if value is None or value is NULL:
            return None
        try:
            return text_of(value)
        except ValueError as error:
            raise failed("R304", where, str(error)) from None

    def case(run: Run) -> Any:
        value = chosen(run)
        if value.__class__ is not str:
            value = spelled(value)
        branch = branches.get(value)
        if branch is None:
            return otherwise(run)
        return branch(run)

    return Compiled(case)


def compile_use(
    outputs: OutputCompiler,
    key: Scalar,
    value: Node,
    given: Node | None,
    scope: Scope,
    body_of: Callable[[MapCode], Code] = MapCode.code,
) -> Compiled:
    """``body_of`` makes the closure that is called when the arguments are in their cells."""
    if not isinstance(value, Scalar):
        outputs.unit.diagnostics.at("M304", value, f"'{key.text}' names a map")
        return constant(None)
    found = outputs.unit.map_named(value.text)
    if found is None:
        outputs.unit.diagnostics.at(
            "M304",
            value,
            f"unknown map '{value.text}'",
            help=did_you_mean(value.text, outputs.unit.map_names()),
        )
        return constant(None)
    entries = dict.fromkeys(found.arguments, None) if given is None else {}
    text: Code | None = None
    arguments: list[tuple[int, Code]] = []
    if isinstance(given, Mapping):
        for key, argument in given.entries:
            if key.text not in found.arguments:
                outputs.unit.diagnostics.at(
                    "M306",
                    key,
                    f"map '{found.name}' has no argument '{key.text}'",
                    help=did_you_mean(key.text, found.arguments),
                )
                continue
            at = found.arguments.index(key.text)
            cell = found.cells[at]
            tree = _tree_of(outputs, argument)
            binding = scope.find(tree.name) if isinstance(tree, Variable) else None
            before = binding is not None and binding.whole
            code = outputs.node_value(argument, scope).code
            if binding is not None:
                binding.passed_on(found.reads_of(at), before)
            elif tree is not None and len(found.arguments) == 1 and body_of is MapCode.code:
                text = field_text(outputs.unit, scope, tree, empty="")
            arguments.append((cell, filling(cell, code) if outputs.unit.trace else code))
            if outputs.unit.trace and isinstance(argument, Scalar):
                origin = outputs.origin_of(argument, scope)
                arguments.append((outputs.unit.origins[cell], origin))
            entries[key.text] = None
    missing = [name for name in found.arguments if given is None or name not in entries]
    if missing:
        outputs.unit.diagnostics.at(
            "M306",
            value,
            f"map '{found.name}' wants '{missing[0]}'",
            help=f"$with: {{{', '.join(f'{name}: = …' for name in found.arguments)}}}",
        )
    body, where = body_of(found), str(value.position)
    given_to = tuple(arguments)
    if len(given_to) == 1:
        used = _use_one(*given_to[0], body, where)
        if text is not None:
            used = by_text(outputs.unit, found, text, used, "use")
        return Compiled(used)
    codes = tuple(code for _, code in arguments)
    cells = tuple(enumerate(cell for cell, _ in arguments))

    def use(run: Run) -> Any:
        run[STEPS] -= 1
        if run[STEPS] < 0:
            raise too_many_steps(where)
        values: list[Any] = []  # all of them first: they may call this map as well
        for code in codes:
            argument = code(run)
            values.append(argument)
        for number, cell in cells:
            run[cell] = values[number]
        return body(run)

    return Compiled(use)


def _tree_of(outputs: OutputCompiler, argument: Node) -> Expr | None:
    """The expression that an argument is, if it is one; what is wrong in it is said elsewhere."""
    if isinstance(argument, Scalar) and argument.text.startswith(("=", "$")):
        return parse_expression(argument, outputs.unit.format, Diagnostics())
    return None


def compile_first(
    outputs: OutputCompiler, value: Node, scope: Scope, path: str, inside: bool
) -> Compiled:
    if not isinstance(value, Sequence) or not value.items:
        outputs.unit.diagnostics.at("M501", value, "'$first' is a list of alternatives")
        return constant(None)
    for item, behind in pairwise(value.items):
        if certain(item, outputs.unit.format):
            problem = "this is never reached: the one before it always gives something"
            outputs.unit.diagnostics.at("M607", behind, problem, help="put it first, or remove it")
            break
    codes = tuple(
        outputs.compile(item, scope, f"{path}[{number}]", inside=inside).code
        for number, item in enumerate(value.items, start=1)
    )

    def first(run: Run) -> Any:
        for code in codes:
            found = code(run)
            if found is not None:
                return found
        return None

    return Compiled(first)


def compile_refer(
    outputs: OutputCompiler, key: Scalar, node: Mapping, scope: Scope, path: str
) -> Compiled:
    value = node.get(key.text)
    assert value is not None  # noqa: S101
    if "$use" in node:
        outputs.unit.diagnostics.at("M501", key, "'$refer' and '$use' share one '$with'")
    check_target(outputs.unit, key.position, key.length)
    rule = Rule(path, key.position)
    outputs.rules.append(rule)
    where = str(value.position)

    def body_of(found: MapCode) -> Code:
        return referring(found, where, rule, trace=outputs.unit.trace)

    return compile_use(outputs, key, value, node.get("$with"), scope, body_of)


def compile_merge(
    outputs: OutputCompiler, key: Scalar, node: Mapping, scope: Scope, path: str, inside: bool
) -> Compiled:
    """What is written beside ``$merge`` is its first part."""
    value = node.get(key.text)
    if not isinstance(value, Sequence) or not value.items:
        outputs.unit.diagnostics.at("M501", value or key, "'$merge' is a list of objects")
        return constant(None)
    parts: list[tuple[Code, str, bool]] = []
    beside = tuple(entry for entry in node.entries if entry[0] is not key)
    if any(not name.text.startswith("$") or name.text in SPREADS for name, _ in beside):
        first = outputs.content(Mapping(beside, node.position), scope, path, inside)
        new = all(name.text not in SPREADS for name, _ in beside)
        parts.append((first.code, str(node.position), new))
    for number, item in enumerate(value.items, start=1):
        found = outputs.compile(item, scope, f"{path}[{number}]", inside=inside)
        if found.constant and found.value is not None:
            outputs.unit.diagnostics.at("M501", item, "a part of '$merge' is an object")
        elif not found.constant:
            parts.append((found.code, str(item.position), False))
    return Compiled(merging(tuple(parts)))


def compile_raising(outputs: OutputCompiler, value: Node) -> Compiled:
    if not isinstance(value, Scalar) or is_expression(value.text):
        outputs.unit.diagnostics.at(
            "M504", value, "'$raise' is literal text", help="no value of a message may be shown"
        )
        return constant(None)
    text, where = literal_text(value.text), str(value.position)

    def raising(run: Run) -> Any:
        raise failed("R102", where, text)

    return Compiled(raising)


def _use_one(cell: int, argument: Code, body: Code, where: str) -> Code:
    def use(run: Run) -> Any:
        run[STEPS] -= 1
        if run[STEPS] < 0:
            raise too_many_steps(where)
        value = argument(run)
        run[cell] = value
        return body(run)

    return use
