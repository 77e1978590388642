"""JSONPath (RFC 9535), by python-jsonpath; numbers are compared by their decimal value."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from jsonpath import JSONPathEnvironment, JSONPathError

from engine.formats.null import NULL
from engine.mapping.failures import FunctionError


class _Environment(JSONPathEnvironment):
    """Literals of a filter are floats, the numbers of a document Decimals."""

    def _eq(self, left: object, right: object) -> bool:
        return super()._eq(_exact(left), _exact(right))

    def _lt(self, left: object, right: object) -> bool:
        return super()._lt(_exact(left), _exact(right))


def _exact(value: object) -> object:
    return Decimal(repr(value)) if isinstance(value, float) else value


_ENVIRONMENT = _Environment(strict=True)


def compile_jsonpath(text: str) -> Callable[[Any], list[Any]]:
    """A function from an object or a list to all that is found; null is NULL.

    Raises ValueError for what is no JSONPath.  The function raises FunctionError.
    """
    try:
        query = _ENVIRONMENT.compile(text)
    except JSONPathError as error:
        raise ValueError(str(error).partition("\n")[0]) from None

    def find(value: Any) -> list[Any]:
        try:
            found = query.findall(value)
        except (JSONPathError, RecursionError):
            raise FunctionError("it cannot be evaluated for this input") from None
        return [NULL if item is None else item for item in found]

    return find
