"""Run-time errors: a code, a place in the mapping file, and never a value of the message."""

from __future__ import annotations

from engine.contract import ErrorInfo, MappingError, Stage


class FunctionError(ValueError):
    """Raised by a mapping function; its text must not hold the value it was given."""


def failed(code: str, location: str, summary: str, help: str | None = None) -> MappingError:
    return MappingError(ErrorInfo(code, summary, Stage.MAPPING, location=location, help=help))
