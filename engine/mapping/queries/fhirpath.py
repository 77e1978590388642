"""FHIRPath over FHIR resources (HL7 FHIRPath 2.0), by fhirpathpy with the definitions of R4.

What a mapping may not do is refused: no clock, nothing printed, no pattern that may run for hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from engine.mapping.failures import FunctionError
from engine.mapping.patterns import Pattern, PatternRefused

_CLOCK: Final = frozenset({"now", "today", "timeOfDay"})
_REFUSED: Final = {
    **dict.fromkeys(_CLOCK, "a mapping has no clock: compare with $now outside"),
    "trace": "nothing of a message is printed",
}
_PATTERNS: Final = ("matches", "replaceMatches")


def compile_fhirpath(text: str) -> Callable[[Any], list[Any]]:
    """A function from a resource, or a part of one, to all that is found.

    Raises ValueError for what is no FHIRPath or is refused.  The function raises FunctionError.
    The library is loaded with the first expression: it takes a while.
    """
    import fhirpathpy
    from fhirpathpy.engine.nodes import FP_Type
    from fhirpathpy.models import models
    from fhirpathpy.parser import parse

    _check_syntax(text)
    tree: dict[str, Any] = parse(text)  # type: ignore[no-untyped-call]
    for name, arguments in _calls(tree):
        _check_call(name, arguments)
    evaluate = fhirpathpy.compile(text, models["r4"])

    def find(resource: Any) -> list[Any]:
        variables = {"resource": resource, "rootResource": resource}
        try:
            found = evaluate(resource, variables)
        except Exception:  # the library raises nothing more exact, and may quote values
            raise FunctionError("it cannot be evaluated for this input") from None
        return [str(item) if isinstance(item, FP_Type) else item for item in found]

    return find


def _check_syntax(text: str) -> None:
    """The library's own parser passes over mistakes."""
    from antlr4 import CommonTokenStream, InputStream
    from antlr4.error.ErrorListener import ErrorListener
    from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
    from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

    class Listener(ErrorListener):  # type: ignore[misc]
        def syntaxError(self, *found: Any) -> None:
            raise ValueError(f"no FHIRPath at character {found[3] + 1}")

    lexer = FHIRPathLexer(InputStream(text))
    parser = FHIRPathParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(Listener())
    parser.entireExpression()  # type: ignore[no-untyped-call]


def _calls(node: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Names and arguments of the functions that an expression calls."""
    inside = node.get("children", [])
    if node.get("type") == "Functn" and inside:
        yield inside[0].get("text", ""), inside[1].get("children", []) if inside[1:] else []
    for child in inside:
        yield from _calls(child)


def _check_call(name: str, arguments: list[dict[str, Any]]) -> None:
    from fhirpathpy.engine.invocations import invocation_registry

    if name in _REFUSED:
        raise ValueError(f"{name}(): {_REFUSED[name]}")
    if name not in invocation_registry or not name.isalpha():
        raise ValueError(f"no function {name}()")
    if name in _PATTERNS and arguments:
        literal = arguments[0].get("text", "")
        if len(literal) < 2 or literal[0] != "'" or literal[-1] != "'":
            raise ValueError(f"{name}() takes a literal pattern")
        try:
            Pattern(literal[1:-1].replace("\\\\", "\\"))
        except PatternRefused as refused:
            raise ValueError(str(refused)) from None
