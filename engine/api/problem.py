"""Errors as ``application/problem+json`` (RFC 9457), with a code and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

from engine.contract import (
    EngineError,
    IllegalTransition,
    StoreUnavailable,
    UnknownMessage,
)

CONTENT_TYPE: Final = "application/problem+json"

_STATUS: Final[tuple[tuple[type[EngineError], int], ...]] = (
    (UnknownMessage, 404),
    (IllegalTransition, 409),
    (StoreUnavailable, 503),
    (EngineError, 500),
)


class Problem(Exception):
    """Raised by a handler; the app answers with it.  ``more`` is added to the body."""

    def __init__(
        self, status: int, code: str, title: str, help: str, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code}: {title}")
        self.status = status
        self.code = code
        self.title = title
        self.help = help
        self.more = more or {}

    def response(self) -> Response:
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        body = {
            "type": "about:blank",
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "help": self.help,
            **self.more,
        }
        return Response(orjson.dumps(body), self.status, headers, CONTENT_TYPE)


def problem_of(error: EngineError) -> Problem:
    """The engine's own errors: their code and summary, which hold no clinical value."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    info = error.info
    more = {"location": info.location} if info.location else None
    return Problem(
        status, info.code, info.summary, info.help or f"see carebus describe {info.code}", more
    )
