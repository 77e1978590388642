"""One connection to an HTTP/1.1 peer, and the one request that may be on it.

Promises: a request is written once; its answer settles its future and nothing else can; bytes
that nobody asked for (a late answer, a goodbye) end the connection, so that they are never taken
for the next request's answer.  Written for the hot path: one write a request, httptools reads.
"""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

from engine.contract import Payload

_UNKNOWN: Final = "application/octet-stream"
HEADERS_LIMIT: Final = 64 * 1024  # bytes of status line and headers of one answer


@dataclass(frozen=True, slots=True)
class Answer:
    """The peer's answer.  ``whole`` is False when its body was over the limit and was dropped."""

    status: int
    headers: dict[bytes, bytes] = field(repr=False)  # names in lower case; the last of each
    body: bytes = field(repr=False)
    whole: bool = True

    def header(self, name: str) -> str | None:
        """The header's text, or None; ``name`` in lower case."""
        value = self.headers.get(name.encode("ascii"))
        return None if value is None else value.decode("latin-1").strip()

    def payload(self) -> Payload | None:
        """The body as it came; None when there is none, or when it was over the limit."""
        if not self.body:
            return None
        media, _, parameters = (self.header("content-type") or _UNKNOWN).partition(";")
        charset = None
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                charset = value.strip().strip('"') or None
        return Payload(self.body, media.strip().lower(), charset)


class Broken(Exception):
    """The connection ended before the whole answer; ``cause`` is what the transport said."""

    def __init__(self, cause: BaseException | None) -> None:
        super().__init__("the connection broke")
        self.cause = cause


class NotHttp(Exception):
    """What came back is not an HTTP answer, or its headers are over `HEADERS_LIMIT`."""


class Connection(asyncio.Protocol):
    """Used by one request at a time; `usable` says whether the next one may have it."""

    __slots__ = (
        "_answer",
        "_body",
        "_headers",
        "_headers_done",
        "_headers_size",
        "_limit",
        "_parser",
        "_poll",
        "_size",
        "_transport",
        "idle_since",
        "requests",
    )

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[bytes, bytes] = {}
        self._headers_size = 0
        self._headers_done = False
        self._body: list[bytes] = []
        self._size = 0
        self._limit = 0
        self._poll = select.poll()
        self.idle_since = 0.0  # loop time; kept by the pool
        self.requests = 0

    # --- for the pool ---

    @property
    def usable(self) -> bool:
        """Nobody waits here, and neither side has begun to close."""
        return (
            self._answer is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    def is_quiet(self) -> bool:
        """Whether the peer has said nothing that the event loop has not read yet: a connection
        that it closed a moment ago is found out before a request is written to it."""
        return not self._poll.poll(0)

    def request(self, data: bytes, limit: int) -> asyncio.Future[Answer]:
        """Write one request.  The future gives the Answer or raises Broken or NotHttp; whoever
        stops waiting calls `abort`.  ``limit``: the largest body kept, in bytes."""
        assert self._transport is not None  # noqa: S101  (the pool hands out usable ones only)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._limit = limit
        self.requests += 1
        self._transport.write(data)
        return answer

    def abort(self) -> None:
        """Close at once, in the middle of whatever is going on.  Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close an idle connection, with a TLS goodbye where there is TLS.  Idempotent."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.abort()  # nobody asked: a late answer, or a refusal to go on
            return
        if not self._headers_done:
            self._headers_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(NotHttp())
            return
        if self._headers_size > HEADERS_LIMIT and not self._headers_done:
            self._fail(NotHttp())

    def eof_received(self) -> None:
        # A body without a length ends with the connection (RFC 9112, 6.3).
        if (
            self._answer is not None
            and self._headers_done
            and b"content-length" not in self._headers
            and b"transfer-encoding" not in self._headers
        ):
            self._settle(keep=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(Broken(exc))

    # --- httptools ---

    def on_message_begin(self) -> None:
        self._headers = {}
        self._headers_done = False
        self._body = []
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._headers_done = True
        self._headers_size = 0

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._body.append(data)
        elif self._answer is not None:
            self._body = []
            self._settle(keep=False)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers_done = False
            return  # an interim answer (100, 103): the real one follows
        self._settle(keep=self._parser.should_keep_alive())

    # --- outcome ---

    def _settle(self, *, keep: bool) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            self.abort()  # a second answer to one request
            return
        assert self._transport is not None  # noqa: S101  (bytes came from it)
        if not keep or self._transport.get_write_buffer_size():
            # An answer to half a request: the rest must not become the next one's beginning.
            self._transport.abort()
        if not answer.done():
            answer.set_result(
                Answer(
                    self._parser.get_status_code(),
                    self._headers,
                    b"".join(self._body),
                    whole=self._size <= self._limit,
                )
            )

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        self.abort()
        if answer is not None and not answer.done():
            answer.set_exception(error)
