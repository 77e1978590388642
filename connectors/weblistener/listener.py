"""One listening socket and its connections: uvicorn's HTTP protocol with limits around it.

uvicorn's server object is not used, because it owns a process (signal handlers, exit codes, a
log configuration); its protocol class is, with what it lacks for an open port: a deadline for a
request to arrive, a limit for headers, a limit of connections, the names in the peer's
certificate, and a stop that says no.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import formatdate
from typing import Any, Final

import httptools
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from connectors.weblistener.handshake import Refused, tell_refusals
from engine.contract import ConfigError, ErrorInfo, NotConnected, Stage

HEADERS_LIMIT: Final = 32 * 1024  # bytes of request line and headers
BACKLOG: Final = 128
NAMES: Final = "carebus.names"
"""Key of a request's scope: the names in the certificate that its peer proved, in lower case."""
PORT_HELP: Final = "find out what listens there (ss -ltnp); two channels cannot share a port"
_TAKE_ANOTHER: Final = frozenset({errno.EACCES, errno.EPERM})
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)
# uvicorn warns of each malformed request; a peer must not be able to fill the log.
_QUIET: Final = logging.getLogger("carebus.http.protocol")
_QUIET.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class ListenLimits:
    connections: int
    idle: timedelta  # between two requests
    arrival: timedelta  # for one whole request


class ListenerState(ServerState):
    """What the connections of one listener share."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0

    def tell_time(self) -> None:
        """Answers carry a Date (RFC 9110, 6.6.1); it is written once a second at most."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.default_headers = [(b"date", formatdate(second, usegmt=True).encode("ascii"))]


class PeerConnection(HttpToolsProtocol):
    """One peer.  Requests on it are answered one after the other."""

    def __init__(self, config: Config, state: ListenerState, limits: ListenLimits) -> None:
        super().__init__(config, state, {})
        self._state = state
        self.logger = _QUIET
        self.access_log = False  # the address may hold what must not be logged
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_size = 0
        self._names: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does this itself for sockets that say IPPROTO_TCP; ours come from a listening
        # socket that does not.  Without it an answer takes 40 ms, as it is written in two pieces.
        self._names = certificate_names(transport.get_extra_info("peercert"))
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self._limits.connections:
            transport.write(_FULL)
            transport.close()
            return
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_size += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_offer(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("this is not HTTP/1.1")
        else:
            if self._in_head and self._head_size > HEADERS_LIMIT:
                self.transport.write(_LONG)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[NAMES] = self._names  # type: ignore[typeddict-unknown-key]
        self._in_head = True
        if self._deadline is None:
            self._wait_for_request()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_size = 0
        self._state.tell_time()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # only the parser thinks so: see `_ignore_offer`
        self._arrived()
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            # The body of a request that was refused before it had all come.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _ignore_offer(self, rest: bytes) -> None:
        """An offer to change to HTTP/2 or a web socket is ignored (RFC 9110, 7.8).

        The parser takes the offer for accepted and would drop the request's body, so the request
        is read again without the offer.  Some HTTP clients make it with every first request.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("this is no proxy")
            return
        lines = [b"%b %b HTTP/1.1" % (method, self.url)]
        lines += [
            b"%b: %b" % (name, value)
            for name, value in self.headers
            if name not in (b"upgrade", b"connection", b"http2-settings")
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _wait_for_request(self) -> None:
        self._deadline = self.loop.call_later(self._limits.arrival.total_seconds(), self._late)

    def _late(self) -> None:
        self._deadline = None
        if self.flow.read_paused or self.pipeline:
            # It is we who do not read, since an earlier request waits for its answer.
            self._wait_for_request()
        else:
            self.transport.abort()

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Listener:
    """Bind, serve an ASGI application, stop.  `bind` and `serve` may follow a `stop` again.

    ``refused`` hears of TLS handshakes that failed.
    """

    def __init__(
        self,
        host: str,
        port: int,
        limits: ListenLimits,
        context: ssl.SSLContext | None,
        *,
        shared: bool = False,
        refused: Refused,
    ) -> None:
        if context is not None:
            tell_refusals(context, refused)
        self._host = host
        self._port = port
        self._limits = limits
        self._context = context
        self._shared = shared
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._state = ListenerState()

    async def take_port(self, code: str) -> None:
        """`bind`, with the connector's ``code`` for an error.  Raises NotConnected while somebody
        else has the port (an engine that is just stopping), ConfigError when it can never be
        taken."""
        try:
            await self.bind()
        except OSError as error:
            info = ErrorInfo(
                code,
                "the port cannot be taken",
                Stage.RECEIVING,
                peer_code=errno.errorcode.get(error.errno or 0),
                help=PORT_HELP,
            )
            kind = ConfigError if error.errno in _TAKE_ANOTHER else NotConnected
            raise kind(info) from None

    async def bind(self) -> None:
        """Take the port; peers that connect now wait.  Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        self._socket = socket.create_server(
            address, family=family, backlog=BACKLOG, reuse_port=self._shared
        )

    async def run(self, app: ASGIApp) -> None:
        """Serve until cancelled, then `stop`."""
        try:
            await self.serve(app)
            await asyncio.get_running_loop().create_future()
        finally:
            await self.stop()

    async def serve(self, app: ASGIApp) -> None:
        """Take connections from now on."""
        assert self._socket is not None  # noqa: S101  (bind came first)
        config = Config(
            app,
            lifespan="off",
            log_config=None,
            log_level=None,
            ws="none",
            proxy_headers=False,  # else a peer on this machine may say that it is another
        )
        config.timeout_keep_alive = self._limits.idle.total_seconds()  # type: ignore[assignment]
        config.load()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: PeerConnection(config, self._state, self._limits),
            sock=self._socket,
            ssl=self._context,
            ssl_handshake_timeout=10 if self._context is not None else None,
        )
        self._socket = None  # the server's now

    async def stop(self) -> None:
        """Take no more, cancel what is being answered, close every connection.  Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        tasks = tuple(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in tuple(self._state.connections):
            connection.transport.close()
        await asyncio.sleep(0)
        for connection in tuple(self._state.connections):
            connection.transport.abort()
        await server.wait_closed()


def certificate_names(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The DNS names and the common names of a verified certificate (as `ssl` gives it), in lower
    case and in this order; none without a certificate."""
    if not certificate:
        return ()
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    for part in certificate.get("subject", ()):
        names += [value for kind, value in part if kind == "commonName"]
    return tuple(dict.fromkeys(name.lower() for name in names))
