"""Expression trees to closures.

Three ways to compile one expression: as a *node* (what a variable holds: parts of the message not
yet decoded), as a *value* (decoded) and as a *test* (true or false).  What is constant is computed
now; what is unknown or wrong becomes a diagnostic, and the closure returns missing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import InvalidOperation, localcontext
from typing import Any

from engine.contract import MappingError
from engine.formats.null import NULL
from engine.formats.xml import XML_FORMATS
from engine.mapping.ast import (
    Call,
    Expr,
    GroupName,
    Item,
    ListOf,
    Literal,
    Negative,
    Not,
    Number,
    Operation,
    Path,
    Required,
    Resources,
    Segment,
    Step,
    Top,
    Variable,
)
from engine.mapping.calls import compile_call
from engine.mapping.certain import certain_value
from engine.mapping.closures import NOTHING_AT_ALL, Compiled, constant
from engine.mapping.failures import failed
from engine.mapping.invariants import kept, outside_loop
from engine.mapping.operators import (
    ARITHMETIC,
    COMPARISONS,
    equality,
    list_of,
    logic,
    membership,
    ordered,
    otherwise,
)
from engine.mapping.paths import compile_path
from engine.mapping.paths_xml import as_values
from engine.mapping.placed import Account, lifted, noting
from engine.mapping.places_xml import place_below, places_code
from engine.mapping.runstate import ACCOUNT, DOCUMENT, SOURCES, Code, Run
from engine.mapping.scope import Binding, Scope, Unit
from engine.mapping.tracing import untraced
from engine.mapping.values import PLAIN, NotText, is_element, leaf, number_of, truth
from engine.syntax import Position, Scalar
from engine.syntax.nearest import did_you_mean


class ExpressionCompiler:
    """Compiles the expressions of one scalar in one scope."""

    def __init__(self, unit: Unit, scope: Scope, scalar: Scalar) -> None:
        self.unit, self.scope, self.scalar = unit, scope, scalar

    # --- where and what is wrong --------------------------------------------------------

    def place(self, node: Expr | Step) -> Position:
        return self.scalar.at(node.start)

    def refuse(
        self, code: str, node: Expr | Step, message: str, help: str | None = None
    ) -> Compiled:
        self.unit.diagnostics.add(
            code, self.place(node), message, length=max(1, node.end - node.start), help=help
        )
        return NOTHING_AT_ALL

    def sibling(self, scope: Scope, scalar: Scalar) -> ExpressionCompiler:
        """For another scalar of the same unit."""
        return ExpressionCompiler(self.unit, scope, scalar)

    def source(self, node: Expr) -> str:
        return self.scalar.text[node.start : node.end].strip()

    # --- the three ways -----------------------------------------------------------------

    def value(self, node: Expr) -> Compiled:
        match node:
            case Segment(name):
                return self.refuse(
                    "M107",
                    node,
                    f"the segment {name} is not a value",
                    f"name one of its fields: {name}-1",
                )
            case GroupName(name):
                return self.refuse(
                    "M107",
                    node,
                    f"the group {name} is not a value",
                    "name a field of one of its segments, or walk it with $for",
                )
            case Variable():
                return self.variable_value(node)
            case Path() | Resources() | Item() | Top():
                return compile_path(self, node, as_value=True)
            case Call("xpath"):
                return as_values(self.common(node, self.value))
            case Call():
                return self.invariant(node, self.common(node, self.value))
            case _:
                return self.common(node, self.value)

    def node(self, node: Expr) -> Compiled:
        match node:
            case Variable():
                binding = self.binding(node)
                if binding is None:
                    return NOTHING_AT_ALL
                binding.whole = True
                cell = binding.cell
                return Compiled(lambda run: run[cell])
            case Segment() | GroupName() | Path() | Resources() | Item() | Top():
                return compile_path(self, node, as_value=False)
            case _:
                return self.common(node, self.node)

    def test(self, node: Expr) -> Compiled:
        """A closure that returns True or False."""
        match node:
            case Operation("and" | "or", left, right):
                return logic(node.operator, self.test(left), self.test(right))
            case Not(operand):
                inner = self.test(operand)
                if inner.constant:
                    return constant(not inner.value)
                code = inner.code

                def opposite(run: Run) -> bool:
                    found = code(run)
                    return not found

                return Compiled(opposite)
            case Operation(operator, left, right) if operator in COMPARISONS:
                return self.comparison(node, left, right)
            case Operation("matches"):
                return self.value(node)
            case Segment(name) if not self.scope.within_map and not self.unit.trace:
                if self.scope.home().group is None:
                    cell = self.scope.segment_cell(name, self.unit.layout)
                    return Compiled(lambda run: bool(run[cell]))
        if isinstance(node, Path) and isinstance(node.steps[-1], Number) and not self.unit.trace:
            value_of = self.value(node).code  # a field is there when its first part is

            def there(run: Run) -> bool:
                value = value_of(run)
                return value is not None and value is not NULL

            return Compiled(there)
        found = self.node(node)
        if found.constant:
            return constant(truth(found.value))
        code = found.code
        if self.unit.trace:
            code = noting(code, tested=True, whole=_tested)

        def test(run: Run) -> bool:
            value = code(run)
            if value is None:
                return False
            if value.__class__ is str:
                return True
            if value.__class__ is bool:
                return value
            return holds(run, value)

        def holds(run: Run, value: Any) -> bool:
            if is_element(value):
                return True
            if value.__class__ not in PLAIN:
                try:
                    value = leaf(run, value)
                except NotText:
                    return True  # a segment that is there
            return truth(value)

        return Compiled(test)

    def invariant(self, node: Expr, found: Compiled) -> Compiled:
        """Computed once when the loops that turn around it do not change it."""
        owner = None if self.unit.trace else outside_loop(node, self.scope)
        return found if owner is None else kept(found, owner, self.unit.layout)

    # --- what is the same for nodes and values ------------------------------------------

    def common(self, node: Expr, compile: Callable[[Expr], Compiled]) -> Compiled:
        match node:
            case Literal(value):
                return constant(value)
            case ListOf(items):
                return list_of([compile(item) for item in items])
            case Call():
                return compile_call(self, node)
            case Required(operand):
                return self.required(node, compile(operand))
            case Operation("??", left, right):
                self.warn_of_unreached(left, right)
                return otherwise(compile(left), compile(right))
            case Operation("and" | "or") | Not():
                return self.test(node)
            case Operation("matches", left, right):
                call = Call("matches", (left, right), True, node.start, node.end)
                return compile_call(self, call)
            case Operation(operator) if operator in COMPARISONS:
                return self.test(node)
            case Operation(operator, left, right):
                return self.arithmetic(node, operator, self.value(left), self.value(right))
            case Negative(operand):
                return self.arithmetic(node, "-", constant(0), self.value(operand))
        raise AssertionError(node)

    def required(self, node: Required, inner: Compiled) -> Compiled:
        code, where = inner.code, str(self.place(node.operand))
        what = self.source(node.operand)
        if len(what) > 60:
            what = what[:57] + "..."
        absent = (None, NULL)

        def required(run: Run) -> Any:
            value = code(run)
            if value.__class__ is str or is_element(value):
                return value
            if value in absent or (value.__class__ is not bool and not value and value != 0):
                raise failed("R101", where, f"{what} is required and missing")
            return value

        return Compiled(required)

    def warn_of_unreached(self, left: Expr, right: Expr) -> None:
        """In a mapping, of what stands behind a value that is always there."""
        place = f"?? {self.place(right)}"
        if self.unit.target and certain_value(left) and not self.unit.checked(place):
            problem = "this is never reached: what stands before it always gives something"
            self.refuse("M607", right, problem, "put it first, or remove it")

    def comparison(self, node: Operation, left: Expr, right: Expr) -> Compiled:
        first, second = self.value(left), self.value(right)
        operator = node.operator
        if operator in ("in", "not in"):
            return membership(operator, first, second)
        if operator in ("==", "!="):
            compared = equality(first, second)
            if operator == "==":
                return compared
            if compared.constant:
                return constant(not compared.value)
            same = compared.code
            return Compiled(lambda run: not same(run))
        a, b = (first, second) if operator in ("<", "<=") else (second, first)
        strict = operator in ("<", ">")
        if a.constant and b.constant:
            return constant(ordered(a.value, b.value, strict))
        lower, upper = a.code, b.code
        return Compiled(lambda run: ordered(lower(run), upper(run), strict))

    def arithmetic(self, node: Expr, operator: str, first: Compiled, second: Compiled) -> Compiled:
        left, right = first.code, second.code
        where = str(self.place(node))
        compute = ARITHMETIC[operator]

        def arithmetic(run: Run) -> Any:
            a, b = left(run), right(run)
            if a is None or b is None:
                return None
            if a is NULL or b is NULL:
                return NULL
            x, y = number_of(a), number_of(b)
            if x is None or y is None:
                raise failed("R302", where, f"'{operator}' needs numbers")
            try:
                with localcontext(prec=50):
                    return compute(x, y)
            except (ArithmeticError, InvalidOperation):
                raise failed("R303", where, f"'{operator}' has no result") from None

        if first.constant and second.constant:
            try:
                return constant(arithmetic([]))
            except MappingError as error:
                return self.refuse("M108", node, error.info.summary)
        return Compiled(arithmetic)

    # --- variables and paths ------------------------------------------------------------

    def binding(self, node: Variable) -> Binding | None:
        binding = self.scope.find(node.name)
        if binding is None:
            help = did_you_mean(node.name, set(self.scope.visible()))
            if self.scope.within_map:
                help = help or "a map sees only its arguments"
            self.refuse("M301", node, f"unknown variable '${node.name}'", help)
            return None
        binding.used = True
        return binding

    def variable_value(self, node: Variable) -> Compiled:
        binding = self.binding(node)
        if binding is None:
            return NOTHING_AT_ALL
        binding.whole = True
        cell, where = binding.cell, str(self.place(node))

        def value(run: Run) -> Any:
            found = run[cell]
            if found.__class__ is str or found is None:
                return found
            if found.__class__ in PLAIN:
                return found
            return decoded(run, found)

        def decoded(run: Run, found: Any) -> Any:
            try:
                return leaf(run, found)
            except NotText as error:
                raise failed("R304", where, str(error)) from None

        return self.traced(Compiled(value), node)

    # --- explaining ---------------------------------------------------------------------

    def traced(self, found: Compiled, node: Expr) -> Compiled:
        """In an explaining compilation, a path writes down what it read."""
        if not self.unit.trace or found.constant:
            return found
        if self.scope.item is not None:  # what a predicate reads is no source of the value
            return Compiled(self.tested(found.code, node))
        code, label = found.code, self.source(node)
        origin: int | None = None
        cell = DOCUMENT
        root = node.root if isinstance(node, Path) else node
        if isinstance(root, Variable):
            binding = self.scope.find(root.name)
            if binding is not None:
                origin, cell = binding.origin, binding.cell
            suffix = self.scalar.text[root.end : node.end]
        else:
            suffix = ""
        places = places_code(self, node) if self.unit.format in XML_FORMATS else None

        def traced(run: Run) -> Any:
            value = untraced(code(run))
            account: Account | None = run[ACCOUNT]
            if account is not None:
                value = lifted(value, account.now)
                account.now += account.behind.get(cell, ())
                if places is not None and value is not None:
                    account.now += [place for place in places(run) if place is not None]
            if run[SOURCES] is not None and not (
                places is not None and write_down(run, places(run), value)
            ):
                known = place_below(run[cell], None if origin is None else run[origin], suffix)
                run[SOURCES].sources.append((label if known is None else known, value))
            return value

        def write_down(run: Run, found: list[Any], value: Any) -> bool:
            """Each value with the place of its element, when that is known for all of them."""
            values = value if value.__class__ is list else [value]
            if value is None or None in found or len(found) != len(values):
                return False
            run[SOURCES].sources += zip(found, values, strict=True)
            return True

        return Compiled(traced)

    def tested(self, code: Code, node: Expr) -> Code:
        """A path in a predicate: its value, which the account takes down as tested."""
        places = places_code(self, node) if self.unit.format in XML_FORMATS else None

        def tested(run: Run) -> Any:
            value = code(run)
            account: Account | None = run[ACCOUNT]
            if account is not None:
                value = lifted(value, account.tested)
                if places is not None and value is not None:
                    account.tested += [place for place in places(run) if place is not None]
            return value

        return tested


def _tested(run: Run, value: Any) -> Any:
    """What is looked at of a node that is asked for: its first leaf."""
    try:
        return leaf(run, value)
    except NotText:
        return None
