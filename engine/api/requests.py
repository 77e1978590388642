"""What every handler needs of a request: who asks, the parameters, a bounded body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.api.problem import Problem

ACTOR_HEADER: Final = "Carebus-Actor"

_LARGEST_BODY: Final = 64 * 1024
_LONGEST_ACTOR: Final = 64


def actor_of(request: Request) -> str:
    """Who asks, as the client says it (percent-encoded UTF-8); ``api`` when it does not.

    Kept with every step a person takes.  It is a name, not a proof: the token is the proof.
    """
    text = unquote(request.headers.get(ACTOR_HEADER, "")).strip()
    if not text:
        return "api"
    if len(text) > _LONGEST_ACTOR or not text.isprintable():
        raise Problem(
            400,
            "P013",
            f"{ACTOR_HEADER} is not a name",
            f"at most {_LONGEST_ACTOR} printable characters",
        )
    return text


def parameters(request: Request) -> Mapping[str, str]:
    """Raises Problem when one is given twice: a silently dropped filter would mislead."""
    given = request.query_params.multi_items()
    if len({name for name, _ in given}) != len(given):
        raise Problem(400, "P013", "a parameter is given twice", "give each once")
    return dict(given)


def flag(given: Mapping[str, str], name: str, default: bool) -> bool:
    """``true`` or ``false``.  Raises Problem for anything else."""
    text = given.get(name, "true" if default else "false")
    if text not in ("true", "false"):
        raise Problem(400, "P013", f"{name} is true or false", f"write {name}=true")
    return text == "true"


async def body_of(request: Request) -> Mapping[str, str]:
    """A JSON object of texts and booleans, as texts; an empty body is an empty object."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise Problem(413, "P019", "the request is too large", "send only the parameters")
    try:
        value: Any = orjson.loads(bytes(body) or b"{}")
    except orjson.JSONDecodeError as error:
        raise Problem(400, "P013", "the body is not JSON", "send one JSON object") from error
    if not isinstance(value, dict):
        raise Problem(400, "P013", "the body is not a JSON object", "send one JSON object")
    given: dict[str, str] = {}
    for name, part in value.items():
        if not isinstance(part, str | bool):
            raise Problem(400, "P013", "a parameter is not a text", "write its value as a text")
        given[name] = part if isinstance(part, str) else str(part).lower()
    return given


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
