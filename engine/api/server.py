"""Serving the control endpoint from the engine's own event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from engine.contract import ConfigError, ErrorInfo, Stage
from engine.settings import Listen

_GRACE_SECONDS: Final = 2


@asynccontextmanager
async def serve(app: ASGIApp, listen: Listen, *, shared: bool = False) -> AsyncIterator[Listen]:
    """Serve until the block ends; yields what was bound, already listening.  ``shared``: with other
    processes, any of which may get a connection.

    Raises ConfigError (P020) when the address cannot be bound.
    """
    bound = bind(listen, shared=shared)
    bound.listen(128)
    host, port = bound.getsockname()[:2]
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # a search by patient has the patient's number in its path
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    task = asyncio.create_task(server.serve(sockets=[bound]), name="control endpoint")
    try:
        yield Listen(host, port)
    finally:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    """Leaves signals alone: they are the engine's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(listen: Listen, *, shared: bool) -> socket.socket:
    """A socket that has the address and does not listen yet.  Raises ConfigError (P020)."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((listen.host, listen.port))
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        busy = error.errno == errno.EADDRINUSE
        raise ConfigError(
            ErrorInfo(
                "P020",
                f"cannot listen on {listen}: {(error.strerror or 'unknown host').lower()}",
                Stage.STARTING,
                location="CAREBUS_API_LISTEN",
                help="another engine may run here; set CAREBUS_API_LISTEN to a free port"
                if busy
                else "set CAREBUS_API_LISTEN to an address of this machine",
            )
        ) from error
    return bound
