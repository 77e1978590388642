"""A client that sends one request once, over a few kept connections to one peer.

Promises: a request is written at most once, on one connection, and what went wrong is named by
what is known about the bytes: `NotConnected` when none of the request left, `UncertainError` when
any may have.  It never follows a redirect, keeps no cookie, asks for no compression, and reads no
proxy and no password from the environment.  Nothing of a body, a header, or an address gets into
an error or a log.

A general client would answer for more than is wanted: most of them write an idempotent request a
second time when a kept connection turns out to be closed, and cannot say whether bytes left.  It
would also be the dearest step of a message's way (measured with 3 KB bodies on a kept connection:
aiohttp 57 us of CPU a request, this 13 us).  A kept connection that breaks under a request is
`UncertainError` here, because the peer may have read the request before it closed; ``keep_alive``
makes that rare.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from connectors.webclient.connection import Answer, Broken, Connection, NotHttp
from connectors.webclient.errors import HELP
from connectors.webclient.settings import ClientSettings
from connectors.webclient.verdicts import Verdict, retry_after, verdict
from engine.contract import (
    ErrorInfo,
    NotConnected,
    RejectedError,
    RetryableError,
    Services,
    Stage,
    UncertainError,
)

# A peer on TLS 1.3 judges the client certificate after the client may already write; these
# alerts come before the peer has read anything as a request.
_HANDSHAKE_ALERT: Final = re.compile(
    r"ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED"
    r"|HANDSHAKE_FAILURE|DECRYPT_ERROR|PROTOCOL_VERSION)"
)


class HttpClient:
    """The connections of one channel.  `exchange` may be called concurrently."""

    def __init__(self, settings: ClientSettings, services: Services, *, prefix: str) -> None:
        self._settings = settings
        self._services = services
        self._prefix = prefix  # of error codes: HTTP, FHIR
        parts = urlsplit(settings.url)
        self._secure = parts.scheme == "https"
        self._host = (parts.hostname or "").encode("idna").decode("ascii")
        self._port = parts.port or (443 if self._secure else 80)
        self.path = parts.path or "/"
        self.query = parts.query
        host = f"[{self._host}]" if ":" in self._host else self._host
        headers = {
            "Host": host if parts.port is None else f"{host}:{parts.port}",
            "User-Agent": "Carebus",
            "Accept-Encoding": "identity",
            **settings.headers,
        }
        for name, secret in settings.secret_headers.items():
            headers[name] = secret.get_secret_value()
        if settings.auth is not None:
            name, value = settings.auth.header()
            headers[name] = value
        self._headers: Mapping[str, str] = headers
        self._timeout = settings.timeout.total_seconds()
        self._connect_timeout = settings.connect_timeout.total_seconds()
        self._keep_alive = settings.keep_alive.total_seconds()
        self._limit = settings.reply_limit
        self._context: ssl.SSLContext | None = None
        self._slots: asyncio.Semaphore | None = None
        self._idle: deque[Connection] = deque()  # the one used last at the right
        self._busy: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def head(self, method: str, target: str, headers: Mapping[str, str]) -> bytes:
        """Request line and headers but for the length; build it once, not for each message.

        ``target`` is path and query, already escaped.  ``headers`` win over the fixed ones.
        """
        lines = [f"{method} {target} HTTP/1.1"]
        given = {name.lower() for name in headers}
        lines += [f"{n}: {v}" for n, v in self._headers.items() if n.lower() not in given]
        lines += [f"{n}: {v}" for n, v in headers.items()]
        return ("\r\n".join(lines) + "\r\n").encode("utf-8")

    @property
    def peer(self) -> tuple[str, int]:
        """Host and port."""
        return self._host, self._port

    async def open(self) -> bool:
        """False when it was open already.

        Connects to nothing: a peer that is down does not keep a channel from starting.  Raises
        ConfigError when a certificate cannot be used.
        """
        if self._slots is not None:
            return False
        if self._secure:
            self._context = self._services.tls(self._settings.tls or {}, server=False)
        self._slots = asyncio.Semaphore(self._settings.max_in_flight)
        return True

    async def close(self, grace: timedelta) -> None:
        """Requests in flight break off and are reported as uncertain to whoever waits for them."""
        self._slots = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        connections = [*self._idle, *self._busy]
        self._idle.clear()
        for connection in connections:
            connection.abort()
        if connections:
            await asyncio.sleep(0)  # the transports tell their protocols in the next turn

    async def exchange(self, head: bytes, body: bytes, more: bytes = b"") -> Answer:
        """One request and its answer, whatever its status.  ``more``: further header lines.

        Raises NotConnected or UncertainError.  When cancelled, the connection is closed first.
        """
        slots = self._slots
        if slots is None:
            raise NotConnected(self.error("CONNECT", "the channel is not open"))
        async with slots:
            connection = await self._connection()
            if self._slots is not slots:
                connection.abort()
                raise NotConnected(self.error("CONNECT", "the channel was closed"))
            self._busy.add(connection)
            loop = asyncio.get_running_loop()
            deadline = None
            try:
                answer = connection.request(
                    b"%b%bContent-Length: %d\r\n\r\n%b" % (head, more, len(body), body), self._limit
                )
                deadline = loop.call_later(self._timeout, _expire, answer)
                return await answer
            except TimeoutError:
                raise self._uncertain("NO-ANSWER", "no whole answer within the time") from None
            except NotHttp:
                raise self._uncertain("BAD-ANSWER", "the answer is not HTTP") from None
            except Broken as broken:
                if connection.requests == 1 and _refused_in_handshake(broken.cause):
                    told = "the peer refused the client certificate"
                    alert = getattr(broken.cause, "reason", None)
                    raise NotConnected(self.error("TLS", told, peer_code=alert)) from None
                raise self._uncertain(
                    "NO-ANSWER", "the connection broke before the whole answer"
                ) from None
            finally:
                if deadline is not None:
                    deadline.cancel()
                self._busy.discard(connection)
                if connection.usable and self._slots is slots:
                    connection.idle_since = loop.time()
                    self._idle.append(connection)
                    if self._sweeper is None:
                        self._sweeper = loop.call_later(self._keep_alive, self._sweep)
                else:
                    connection.abort()

    async def reach(self) -> None:
        """Connect (and shake hands), then hang up.  Raises NotConnected.  For checks."""
        (await self._connect()).close()

    def judge(self, answer: Answer, verdict: Verdict, *, peer_code: str | None = None) -> None:
        """Return when the verdict on the answer is yes; else raise what it means.

        ``peer_code`` is the peer's own code where it gave one; the status otherwise.
        """
        if verdict is Verdict.YES:
            return
        status = answer.status
        code = peer_code or str(status)
        if verdict is Verdict.NEVER:
            raise RejectedError(self.error("REJECTED", f"the peer answered {code}", peer_code=code))
        if status in (401, 407):
            info = self.error("AUTH", "the peer does not accept the credentials", peer_code=code)
        elif 300 <= status < 400:
            info = self.error("MOVED", "the peer redirects to another address", peer_code=code)
        else:
            info = self.error("BUSY", f"the peer answered {code}", peer_code=code)
        wait = retry_after(answer.header("retry-after"), self._services.now())
        raise RetryableError(info, after=wait)

    def verdict(self, answer: Answer, success: Collection[int] = ()) -> Verdict:
        """What the status means on this channel."""
        return verdict(
            answer.status,
            success=success,
            retry=self._settings.retry_statuses,
            reject=self._settings.reject_statuses,
        )

    def error(self, name: str, summary: str, *, peer_code: str | None = None) -> ErrorInfo:
        """An error of this client, with its advice; ``name`` as in the table of errors."""
        return ErrorInfo(
            code=f"{self._prefix}-{name}",
            summary=summary,
            stage=Stage.SENDING,
            peer_code=peer_code,
            help=HELP[name],
        )

    def _uncertain(self, name: str, summary: str) -> UncertainError:
        return UncertainError(self.error(name, summary))

    async def _connection(self) -> Connection:
        """A kept connection, or a new one.  Raises NotConnected."""
        idle = self._idle
        now = asyncio.get_running_loop().time()
        while idle:
            connection = idle.pop()
            age = now - connection.idle_since
            if age < self._keep_alive and connection.usable and connection.is_quiet():
                return connection
            connection.close()
        return await self._connect()

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await loop.create_connection(
                    Connection,
                    self._host,
                    self._port,
                    ssl=self._context,
                    server_hostname=self._host if self._context is not None else None,
                )
        except TimeoutError:
            raise NotConnected(self.error("CONNECT", "no connection within the time")) from None
        except ssl.SSLCertVerificationError as cause:
            told = f"the peer's certificate is not trusted: {cause.verify_message}"
            raise NotConnected(self.error("TLS", told)) from None
        except ssl.SSLError as cause:
            told = "the TLS handshake failed"
            raise NotConnected(self.error("TLS", told, peer_code=cause.reason)) from None
        except OSError:
            raise NotConnected(self.error("CONNECT", "the peer cannot be reached")) from None
        return connection

    def _sweep(self) -> None:
        """Close what was idle too long; runs only while there is something idle."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keep_alive
        while self._idle and (self._idle[0].idle_since <= oldest or not self._idle[0].usable):
            self._idle.popleft().close()
        if self._idle:
            wait = self._idle[0].idle_since - oldest
            self._sweeper = loop.call_later(max(wait, 0.01), self._sweep)


def _expire(answer: asyncio.Future[Answer]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _refused_in_handshake(cause: BaseException | None) -> bool:
    return isinstance(cause, ssl.SSLError) and bool(_HANDSHAKE_ALERT.search(cause.reason or ""))
