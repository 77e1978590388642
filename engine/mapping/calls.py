"""Calls of functions: arguments checked and converted by the signature, constants folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from engine.contract import MappingError
from engine.formats.null import NULL
from engine.mapping.ast import Call
from engine.mapping.closures import NOTHING_AT_ALL, Compiled, constant
from engine.mapping.failures import FunctionError, failed
from engine.mapping.forms import FORMS
from engine.mapping.functions.signature import Context, Function, Kind, Parameter
from engine.mapping.patterns import Pattern, PatternRefused
from engine.mapping.runstate import MEMO, Code, Run
from engine.mapping.values import number_of, text_of
from engine.syntax.nearest import did_you_mean

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler

_FAILURES: Final = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


def compile_call(compiler: ExpressionCompiler, call: Call) -> Compiled:
    """The call of a form or a function; a diagnostic for an unknown one or a wrong argument."""
    form = FORMS.get(call.name)
    if form is not None:
        if not form.least <= len(call.arguments) <= form.most:
            return _wrong_count(compiler, call, form.signature, form.least, form.most)
        return form.compile(compiler, call)
    function = compiler.unit.functions.get(call.name)
    if function is None:
        names = {*FORMS, *compiler.unit.functions}
        help = did_you_mean(call.name, names)
        if compiler.unit.map_named(call.name) is not None:
            help = f"'{call.name}' is a map: write each('{call.name}')"
        return compiler.refuse("M302", call, f"unknown function '{call.name}'", help)
    most = 1000 if function.most is None else function.most
    if not function.least <= len(call.arguments) <= most:
        return _wrong_count(compiler, call, function.signature, function.least, function.most)
    return _call(compiler, call, function)


def _wrong_count(
    compiler: ExpressionCompiler, call: Call, signature: str, least: int, most: int | None
) -> Compiled:
    given = len(call.arguments)
    if most is None:
        wanted = f"at least {least}"
    else:
        wanted = str(least) if least == most else f"{least} to {most}"
    counted = f"{call.name}() takes {wanted} argument{'s' if wanted != '1' else ''}, not {given}"
    note = "; the value before '|' is the first" if call.piped else ""
    return compiler.refuse("M305", call, counted, f"it is {signature}{note}")


def _call(compiler: ExpressionCompiler, call: Call, function: Function) -> Compiled:
    parameters = _parameters(function, len(call.arguments))
    arguments = [compiler.value(argument) for argument in call.arguments]
    converts: list[Callable[[Any], Any]] = []
    for position, (parameter, argument) in enumerate(zip(parameters, arguments, strict=True)):
        node = call.arguments[position]
        if parameter.kind is Kind.PATTERN:
            if not argument.constant or not isinstance(argument.value, str):
                return compiler.refuse("M701", node, "a pattern is written as a literal text")
            try:
                arguments[position] = constant(Pattern(argument.value))
            except PatternRefused as refused:
                return compiler.refuse("M701", node, str(refused))
        convert = _CONVERT[parameter.kind]
        if argument.constant and argument.value is not None and argument.value is not NULL:
            try:
                arguments[position] = constant(convert(arguments[position].value))
            except FunctionError as error:
                return compiler.refuse("M310", node, f"{function.name}(): {error}")
        converts.append(convert)
    code = _invocation(
        function,
        parameters,
        arguments,
        [
            None if argument.constant or c is _unchanged else c
            for argument, c in zip(arguments, converts, strict=True)
        ],
        str(compiler.place(call)),
    )
    if all(argument.constant for argument in arguments) and not function.wants_context:
        try:
            return constant(code([]))
        except MappingError as error:
            compiler.refuse("M310", call, error.info.summary)
            return NOTHING_AT_ALL
    return Compiled(code)


def _parameters(function: Function, given: int) -> tuple[Parameter, ...]:
    own = function.parameters
    if given > len(own):
        own += (own[-1],) * (given - len(own))
    return own[:given]


def _invocation(
    function: Function,
    parameters: Sequence[Parameter],
    arguments: Sequence[Compiled],
    converts: Sequence[Callable[[Any], Any] | None],
    where: str,
) -> Code:
    """The closure that evaluates the arguments and calls the function."""
    name, call, wants_context = function.name, function.call, function.wants_context
    codes = [argument.code for argument in arguments]
    lifts = bool(parameters) and parameters[0].kind in _SINGLE
    steps = tuple(
        (code, convert, parameter.takes_missing, parameter.kind is Kind.ANY, lifts and number == 0)
        for number, (code, convert, parameter) in enumerate(
            zip(codes, converts, parameters, strict=True)
        )
    )

    def invoke(run: Run, arguments: list[Any]) -> Any:
        try:
            if wants_context:
                return call(run[MEMO] or _context(run), *arguments)
            return call(*arguments)
        except _FAILURES as error:
            raise call_failed(error, name, where) from None

    def convert_one(convert: Callable[[Any], Any], value: Any) -> Any:
        try:
            return convert(value)
        except FunctionError as error:
            raise failed("R301", where, f"{name}() failed: {error}") from None

    def convert_each(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
        return [item if item is NULL else convert_one(convert, item) for item in values]

    def call_each(run: Run, given: list[Any]) -> Any:
        rest = given[1:]
        results = [NULL if item is NULL else invoke(run, [item, *rest]) for item in given[0]]
        return [item for item in results if item is not None] or None

    def general(run: Run) -> Any:
        given: list[Any] = []
        several = False
        null = False
        for code, convert, takes_missing, takes_null, spreads in steps:
            value = code(run)
            if not takes_missing and value is None:
                return None
            if value is NULL:
                if not takes_missing:
                    null = True
                elif not takes_null:
                    value = None
            elif convert is not None and value is not None:
                if spreads and value.__class__ is list:
                    several = True
                    value = convert_each(convert, value)
                else:
                    value = convert_one(convert, value)
            given.append(value)
        if null:
            return NULL
        if several:
            return call_each(run, given)
        return invoke(run, given)

    simple = (
        lifts
        and parameters[0].kind is Kind.TEXT
        and not parameters[0].takes_missing
        and all(argument.constant for argument in arguments[1:])
        and converts[0] is not None
    )
    if not simple:
        if function.variadic and all(
            parameter.takes_missing and parameter.kind is Kind.ANY for parameter in parameters
        ):
            return _collecting(function, arguments, invoke, where)
        return general
    first = codes[0]
    rest = [code([]) for code in codes[1:]]
    if any(value is None or value is NULL for value in rest):
        return general
    if wants_context:

        def with_constants(run: Run) -> Any:
            value = first(run)
            if value.__class__ is not str:
                return None if value is None else slowly(run, value)
            try:
                return call(run[MEMO] or _context(run), value, *rest)
            except _FAILURES as error:
                raise call_failed(error, name, where) from None

    elif rest:

        def with_constants(run: Run) -> Any:
            value = first(run)
            if value.__class__ is not str:
                return None if value is None else slowly(run, value)
            try:
                return call(value, *rest)
            except _FAILURES as error:
                raise call_failed(error, name, where) from None

    else:

        def with_constants(run: Run) -> Any:
            value = first(run)
            if value.__class__ is not str:
                return None if value is None else slowly(run, value)
            try:
                return call(value)
            except _FAILURES as error:
                raise call_failed(error, name, where) from None

    convert_first = converts[0]

    def slowly(run: Run, value: Any) -> Any:
        assert convert_first is not None  # noqa: S101
        if value is NULL:
            return NULL
        if value.__class__ is list:
            results = [slowly(run, item) for item in value]
            return [item for item in results if item is not None] or None
        return invoke(run, [convert_one(convert_first, value), *rest])

    return with_constants


def call_failed(error: Exception, name: str, where: str) -> MappingError:
    """Says what a function says itself; of every other exception only its kind."""
    said = str(error) if isinstance(error, FunctionError) else type(error).__name__
    return failed("R301", where, f"{name}() failed: {said}")


def _context(run: Run) -> Context:
    context = run[MEMO] = Context(run)
    return context


def _collecting(
    function: Function,
    arguments: Sequence[Compiled],
    invoke: Callable[[Run, list[Any]], Any],
    where: str,
) -> Code:
    """For functions that take any number of values as they are, such as urn_uuid."""
    name, call, wants_context = function.name, function.call, function.wants_context
    template = [argument.value if argument.constant else None for argument in arguments]
    computed = tuple(
        (place, argument.code) for place, argument in enumerate(arguments) if not argument.constant
    )

    def collecting(run: Run) -> Any:
        values = template.copy()
        for place, code in computed:
            value = code(run)
            values[place] = value
        if wants_context:
            return invoke(run, values)
        try:
            return call(*values)
        except _FAILURES as error:
            raise call_failed(error, name, where) from None

    return collecting


def _text(value: Any) -> str:
    try:
        return text_of(value)
    except ValueError as error:
        raise FunctionError(str(error)) from None


def _number(value: Any) -> Decimal:
    number = number_of(value)
    if number is None:
        raise FunctionError("a number is wanted")
    return Decimal(number)


def _integer(value: Any) -> int:
    number = _number(value)
    if number != number.to_integral_value() or abs(number) > 10**18:
        raise FunctionError("a whole number is wanted")
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise FunctionError("true or false is wanted")


def _unchanged(value: Any) -> Any:
    return value


_SINGLE: Final = frozenset({Kind.TEXT, Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN})
_CONVERT: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.LIST: lambda value: value if value.__class__ is list else [value],
    Kind.ANY: _unchanged,
    Kind.PATTERN: lambda value: value,
}
