"""Who may talk to the control endpoint: a known Host, and for ``/api`` the token.

The Host rule stops a web page from reaching the endpoint through a name that it points to this
machine (DNS rebinding): addresses cannot be rebound, so they and a few names are taken.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from engine.api.problem import Problem
from engine.settings import Listen

_PROTECTED: Final = "/api/"


class Guard:
    """ASGI middleware.  ``listen`` is what was configured, not what was bound."""

    def __init__(self, app: ASGIApp, *, token: str, listen: Listen) -> None:
        self._app = app
        self._token = f"Bearer {token}".encode()
        self._names = {"localhost", listen.host.lower()}
        if not listen.loopback:
            # Not the full name: asking for it may wait for a name server.
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            problem = self._refusal(scope)
            if problem is not None:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._known(hosts[0].decode("latin-1")):
            return Problem(
                421,
                "P011",
                "this endpoint does not answer to that host name",
                "use its address, or localhost",
            )
        if not scope["path"].startswith(_PROTECTED):
            return None
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1 or not hmac.compare_digest(given[0], self._token):
            return Problem(
                401,
                "P010",
                "the control token is missing or not right",
                "read it from control-token in the engine's data directory",
            )
        return None

    def _known(self, host: str) -> bool:
        if host.startswith("["):
            name, _, _ = host[1:].partition("]")
        else:
            name, _, _ = host.partition(":")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in self._names
        return True
