"""``/live``, ``/ready`` and ``/metrics``: what a supervisor, a load balancer and Prometheus ask.

They need no token and tell no clinical value.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from engine.api.engine import ControlledEngine
from engine.api.metrics import CONTENT_TYPE, Metrics
from engine.api.requests import answer
from engine.contract import ErrorInfo
from engine.flow.status import EngineStatus


class Health:
    def __init__(self, engine: ControlledEngine) -> None:
        self._engine = engine
        self._metrics = Metrics()

    async def live(self, request: Request) -> Response:
        """200 as long as the event loop turns; says nothing about peers, so that a supervisor
        does not restart an engine whose neighbour is down."""
        return answer({"live": True})

    async def ready(self, request: Request) -> Response:
        status = await self._engine.overview()
        reasons = reasons_of(status)
        return answer(
            {"ready": status.ready, "reasons": reasons}, status=200 if status.ready else 503
        )

    async def metrics(self, request: Request) -> Response:
        text = self._metrics.render(await self._engine.overview())
        return Response(text, headers={"Content-Type": CONTENT_TYPE})


def reasons_of(status: EngineStatus) -> list[dict[str, str]]:
    """Why the engine is not ready: that it takes no messages, then each channel that is not
    open."""
    if status.ready:
        return []
    reasons = [] if status.refusing is None else [_error(status.refusing)]
    reasons += [
        {"channel": channel.name, "state": channel.state, **_error(channel.last_error)}
        for channel in status.channels
        if not channel.state.well
    ]
    return reasons or [{"summary": "the store or the broker is not open"}]


def _error(error: ErrorInfo | None) -> dict[str, str]:
    return {} if error is None else {"code": error.code, "summary": error.summary}
