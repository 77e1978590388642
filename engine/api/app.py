"""The control endpoint as a Starlette application.

======================================  ======================================================
``GET /live``                           200 while the process answers
``GET /ready``                          200 when every channel is open and messages are taken
``GET /metrics``                        for Prometheus
``GET /api/v1/status``                  the engine's status
``POST /api/v1/reload``                 read the configuration again, all of it or nothing
``GET /api/v1/messages``                search, newest first
``GET /api/v1/messages/{id}``           summary and history; ``?content=true`` adds the bytes
``POST /api/v1/messages/{id}/replay``   its finished deliveries once more
``POST /api/v1/deliveries/{id}/replay`` one delivery once more
``POST /api/v1/deliveries/{id}/cancel`` one delivery never more
``POST /api/v1/replay``                 every delivery a search means; a dry run unless told
``POST /api/v1/channels/{name}/stop``   stop a channel; what waits for it waits on; ``reason``
``POST /api/v1/channels/{name}/start``  start it again
======================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.api.engine import ControlledEngine, Reload
from engine.api.guard import Guard
from engine.api.health import Health
from engine.api.messages import Messages
from engine.api.problem import Problem, problem_of
from engine.api.requests import actor_of, answer, body_of
from engine.api.wire import reloaded_to_dict, status_to_json
from engine.contract import EngineError
from engine.settings import Listen

_LONGEST_REASON: Final = 200
_REASON: Final = f"at most {_LONGEST_REASON} printable characters, nothing of a patient"
_METHODS: Final = "GET for questions, POST for orders"


def control_app(
    engine: ControlledEngine, *, reload: Reload, token: str, listen: Listen
) -> Starlette:
    """The application; runs in the engine's event loop and keeps no state of its own."""
    health = Health(engine)
    messages = Messages(engine)
    log = structlog.get_logger("carebus.api")

    async def status(request: Request) -> Response:
        return Response(status_to_json(await engine.overview()), media_type="application/json")

    async def switch(request: Request) -> Response:
        name, order = request.path_params["name"], request.path_params["order"]
        actor = actor_of(request)
        if order not in ("start", "stop"):
            raise _no_such_path()
        reason = (await body_of(request)).get("reason", "")
        if len(reason) > _LONGEST_REASON or not reason.isprintable():
            raise Problem(400, "P013", "the reason is not a line of text", _REASON)
        try:
            if order == "stop":
                await engine.stop_channel(name, actor=actor, reason=reason)
            else:
                await engine.start_channel(name)
        except KeyError as error:
            raise Problem(
                404, "P016", "there is no such channel", "carebus status lists them"
            ) from error
        log.info("channel switched", channel=name, to=order, actor=actor, reason=reason)
        return answer({"channel": name, "order": order}, status=202)

    async def reload_configuration(request: Request) -> Response:
        actor = actor_of(request)
        log.info("reload asked for", actor=actor)
        reloaded = await reload(actor)
        if not reloaded.ok:
            raise Problem(
                422,
                "P018",
                "the configuration is wrong; the old one runs on",
                "mend what carebus lint shows, and reload again",
                reloaded_to_dict(reloaded),
            )
        return answer(reloaded_to_dict(reloaded))

    api = "/api/v1"
    return Starlette(
        routes=[
            Route("/live", health.live),
            Route("/ready", health.ready),
            Route("/metrics", health.metrics),
            Route(f"{api}/status", status),
            Route(f"{api}/reload", reload_configuration, methods=["POST"]),
            Route(f"{api}/channels/{{name}}/{{order}}", switch, methods=["POST"]),
            Route(f"{api}/replay", messages.replay_many, methods=["POST"]),
            Route(f"{api}/messages", messages.search),
            Route(f"{api}/messages/{{id}}", messages.show),
            Route(f"{api}/messages/{{id}}/replay", messages.replay_all, methods=["POST"]),
            Route(f"{api}/deliveries/{{id}}/replay", messages.replay, methods=["POST"]),
            Route(f"{api}/deliveries/{{id}}/cancel", messages.cancel, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, token=token, listen=listen)],
        exception_handlers={
            Problem: _handler(_of_problem),
            EngineError: _handler(_of_engine),
            HTTPException: _handler(_of_http),
            Exception: _handler(_of_defect),
        },
    )


Handler = Callable[[Request, Exception], Awaitable[Response]]


def _handler(render: Callable[[Any], Problem]) -> Handler:
    async def handle(request: Request, error: Exception) -> Response:
        return render(error).response()

    return handle


def _of_problem(error: Problem) -> Problem:
    return error


def _of_engine(error: EngineError) -> Problem:
    return problem_of(error)


def _of_http(error: HTTPException) -> Problem:
    if error.status_code == 405:
        return Problem(405, "P012", "this method is not for this path", _METHODS)
    return _no_such_path()


def _no_such_path() -> Problem:
    return Problem(404, "P012", "there is no such path", "see docs/cli.md")


def _of_defect(error: Exception) -> Problem:
    # Starlette raises it again after the answer, and uvicorn logs where it came from.
    return Problem(500, "P022", "a defect in the control endpoint", "see the engine's log")
