"""xpath(), fhirpath() and jsonpath(): the standard languages over the source, or over a value.

Nothing found is missing, one thing is that thing, several are a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.formats.null import NULL
from engine.formats.xml import XML_FORMATS, Element
from engine.formats.xml.xpath import XPath
from engine.mapping.ast import Call
from engine.mapping.closures import NOTHING_AT_ALL, Compiled
from engine.mapping.failures import FunctionError, failed
from engine.mapping.form import literal_of
from engine.mapping.placed import Account, lifted
from engine.mapping.queries.fhirpath import compile_fhirpath
from engine.mapping.queries.jsonpath import compile_jsonpath
from engine.mapping.runstate import ACCOUNT, DOCUMENT, SOURCES, Code, Run

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


def compile_xpath(compiler: ExpressionCompiler, call: Call) -> Compiled:
    text = literal_of(compiler, call.arguments[-1])
    subject = _subject(compiler, call, XML_FORMATS)
    if text is None or subject is None:
        return NOTHING_AT_ALL
    try:
        query = XPath(text, compiler.unit.namespaces)
    except ValueError as error:
        return compiler.refuse("M110", call.arguments[-1], f"this is no XPath: {error}")
    trace, label = compiler.unit.trace, f"xpath('{text}')"

    def find(run: Run) -> Any:
        node = subject(run)
        if node.__class__ is list:
            node = node[0] if node else None
        if node.__class__ is not Element:
            return None
        found = query.find(node)
        if trace and found:
            account: Account | None = run[ACCOUNT]
            for place, value in zip(query.places(node), found, strict=False):
                if account is not None and place is not None and not _has_children(value):
                    account.now.append(place)
                if run[SOURCES] is not None:
                    run[SOURCES].sources.append((place or label, value))
        return _result(found)

    return Compiled(find)


def compile_query(
    formats: tuple[str, ...], compile: Callable[[str], Callable[[Any], list[Any]]], language: str
) -> Callable[[ExpressionCompiler, Call], Compiled]:
    """The form for a language over JSON values."""

    def compile_form(compiler: ExpressionCompiler, call: Call) -> Compiled:
        text = literal_of(compiler, call.arguments[-1])
        subject = _subject(compiler, call, formats)
        if text is None or subject is None:
            return NOTHING_AT_ALL
        try:
            query = compile(text)
        except ValueError as error:
            return compiler.refuse("M110", call.arguments[-1], f"this is no {language}: {error}")
        where = str(compiler.place(call))
        name, label = call.name, f"{call.name}('{text}')"

        def find(run: Run) -> Any:
            value = subject(run)
            if value is None or value is NULL:
                return None
            if value.__class__ is not dict and value.__class__ is not list:
                raise failed("R301", where, f"{name}() failed: an object or a list is wanted")
            try:
                account: Account | None = run[ACCOUNT]
                found = _result(query(value) if account is None else _placed(query, value, account))
            except FunctionError as error:
                raise failed("R301", where, f"{name}() failed: {error}") from None
            if run[SOURCES] is not None:
                run[SOURCES].sources.append((label, found))
            return found

        return Compiled(find)

    return compile_form


compile_fhirpath_form = compile_query(("fhir",), compile_fhirpath, "FHIRPath")
compile_jsonpath_form = compile_query(("json", "fhir"), compile_jsonpath, "JSONPath")


def _subject(compiler: ExpressionCompiler, call: Call, formats: tuple[str, ...]) -> Code | None:
    """What is searched: the value before the pipe, or the whole source."""
    if len(call.arguments) > 1:
        return compiler.node(call.arguments[0]).code
    if compiler.unit.format not in formats:
        compiler.refuse(
            "M110",
            call,
            f"{call.name}() searches {' and '.join(formats)}, not {compiler.unit.format}",
        )
        return None
    if compiler.scope.within_map:
        compiler.refuse(
            "M308",
            call,
            "a map sees only its arguments, not the source",
            f"write $argument | {call.name}('…')",
        )
        return None
    return lambda run: run[DOCUMENT].value


def _placed(query: Callable[[Any], list[Any]], value: Any, account: Account) -> list[Any]:
    """What is found, with its places where the library passes values through unchanged.

    Single values are taken down as read; objects and lists keep the places of what is in them.
    Raises FunctionError.
    """
    plain = query(lifted(value, []))
    try:
        found = query(value)
    except FunctionError:
        return plain
    if lifted(found, []) != plain:
        return plain
    return [item if isinstance(item, dict | list) else lifted(item, account.now) for item in found]


def _has_children(node: Any) -> bool:
    """A part of the document that paths will look into, rather than a text of it."""
    return node.__class__ is Element and len(node) > 0


def _result(found: list[Any]) -> Any:
    if len(found) == 1:
        return found[0]
    return found or None
