"""The receiving side: `LinkSource`, an `engine.contract.Source`.

Another engine's deliveries become messages of this one.  The name of the delivery is the
``dedup_key``, without a time limit: an attempt that comes again after a month finds the first copy.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson

from connectors.carebus import wire
from connectors.carebus.errors import error
from connectors.carebus.request import Refusal, Request, read_request
from connectors.carebus.settings import LinkSourceSettings
from connectors.carebus.spool import Full, Spool
from connectors.carebus.wire import Answered
from connectors.pace import Pace
from connectors.weblistener.listener import NAMES, Listener, ListenLimits
from engine.contract import (
    Accept,
    ConfigError,
    Inbound,
    NotConnected,
    Outcome,
    Payload,
    Receipt,
    Services,
    Stage,
)

RETRY_AFTER: Final = "5"  # seconds
_LARGE: Final = 256 * 1024  # bytes from which on zlib works in a thread
_STATUS: Final = {
    Outcome.ACCEPTED: (201, Answered.ACCEPTED),
    Outcome.DUPLICATE: (200, Answered.DUPLICATE),
    Outcome.REJECTED: (422, Answered.REJECTED),
    Outcome.UNAVAILABLE: (503, Answered.UNAVAILABLE),
}


class _Left(Exception):
    """The peer went away in the middle of its request."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    answered: Answered
    headers: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str | None] = field(default_factory=dict)  # code, summary, help


class LinkSource:
    """See `engine.contract.Source`.  Concurrent between connections, in order on each."""

    def __init__(self, settings: LinkSourceSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._listener: Listener | None = None
        self._pace = Pace(services.limits.rate)
        self._spool = Spool(services.spool, limit=settings.spool, keep=settings.spool_keep)
        self._transfers: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Take the port.  Raises NotConnected while somebody else has it, ConfigError when it can
        never be taken, or when the TLS settings would let somebody in without a certificate."""
        if self._listener is not None:
            return
        settings, limits = self._settings, self._services.limits
        context = None
        if settings.tls is not None:
            context = self._services.tls(settings.tls, server=True)
            if context.verify_mode is not ssl.CERT_REQUIRED:
                told = "a link asks its peers for a certificate"
                raise ConfigError(error("CAREBUS-INSECURE", told, Stage.STARTING))
        listener = Listener(
            settings.host,
            settings.port,
            ListenLimits(limits.connections, limits.idle, settings.arrival_timeout),
            context,
            shared=self._services.shares_port,
            refused=lambda reason: self._services.log.warning("link tls refused", reason=reason),
        )
        await listener.take_port("CAREBUS-LISTEN")
        self._listener = listener

    async def close(self, grace: timedelta) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.stop()

    async def run(self, accept: Accept) -> None:
        """Serve until cancelled.  Who waits for an answer then is told to come again."""
        listener = self._listener
        if listener is None:
            told = "the channel is not open"
            raise NotConnected(error("CAREBUS-LISTEN", told, Stage.RECEIVING))

        async def application(scope: Any, receive: Any, send: Any) -> None:
            try:
                reply = await self._answer(scope, receive, accept)
            except _Left:
                return  # what had come of a part is kept; otherwise there is no message
            except asyncio.CancelledError:
                # The only one who cancels is `Listener.stop`, which waits for this answer.
                reply = _later({"connection": "close"})
            await _write(send, reply, scope)

        try:
            await listener.run(application)
        finally:
            self._listener = None

    async def _answer(self, scope: Any, receive: Any, accept: Accept) -> _Reply:
        limit = self._services.limits.message
        names = scope[NAMES]
        request = read_request(
            scope,
            names=names,
            peers=self._settings.peers,
            channel=self._services.channel,
            limit=limit,
        )
        if isinstance(request, Refusal):
            return self._refused(request, names)
        if request.method == "GET":
            size = 0
            if request.upload:
                size = await asyncio.to_thread(self._spool.size, request.upload)
            return _Reply(200, Answered.READY, {wire.OFFSET: str(size)})
        if request.part is not None:
            turn = self._transfers.setdefault(request.upload, asyncio.Lock())
            async with turn:
                return await self._part(request, scope, receive, accept)
        body, whole = await _read(receive, request.length)
        if not whole:
            raise _Left
        return await self._offer(request, body, scope, accept)

    async def _part(self, request: Request, scope: Any, receive: Any, accept: Accept) -> _Reply:
        """Put one part to the others, and offer the message when it was the last."""
        part, upload, spool = request.part, request.upload, self._spool
        assert part is not None  # noqa: S101  (the caller looked)
        data, whole = await _read(receive, request.length)
        try:
            size = await asyncio.to_thread(spool.append, upload, part.start, data)
        except Full:
            self._services.log.error("no room for a large message", code="CAREBUS-NO-ROOM")
            return _later({}, "CAREBUS-NO-ROOM", "no room for large messages")
        if not whole:
            raise _Left
        if size != part.total:
            status = 202 if size == part.end else 409
            return _Reply(status, Answered.PART, {wire.OFFSET: str(size)})
        body = await asyncio.to_thread(spool.content, upload)
        digest = await asyncio.to_thread(wire.digest_header, body)
        if digest != request.headers[wire.DIGEST]:
            # A disk that lost power in the middle of a write: begin anew.
            await asyncio.to_thread(spool.drop, upload)
            return _Reply(409, Answered.PART, {wire.OFFSET: "0"})
        reply = await self._offer(request, body, scope, accept)
        if reply.answered is not Answered.UNAVAILABLE:
            await asyncio.to_thread(spool.drop, upload)
        return reply

    async def _offer(self, request: Request, body: bytes, scope: Any, accept: Accept) -> _Reply:
        """Give the whole message to the engine."""
        if request.gzip:
            limit = self._services.limits.message
            try:
                if len(body) < _LARGE:
                    content = wire.expanded(body, limit)
                else:
                    content = await asyncio.to_thread(wire.expanded, body, limit)
            except ValueError as wrong:
                return _no(400, Answered.MALFORMED, "CAREBUS-MALFORMED", str(wrong))
            if content is None:
                told = f"this channel takes messages of {limit} bytes"
                return _no(413, Answered.TOO_LARGE, "CAREBUS-TOO-LARGE", told)
            body = content
        await self._pace.turn()
        receipt = await accept(self._inbound(request, body, scope))
        return _told(receipt)

    def _inbound(self, request: Request, body: bytes, scope: Any) -> Inbound:
        headers = request.headers
        names = scope[NAMES]
        client = scope.get("client")
        address = f"{client[0]}:{client[1]}" if client else "unknown"
        message = request.key.partition(".")[0]
        trace = request.trace or (message,)
        attributes = {
            "link.message": message,
            "link.trace": ",".join(trace),
            "link.engine": names[0] if names else "",
            "link.channel": wire.unquoted(headers.get(wire.CHANNEL, "")),
            "link.accepted_at": wire.unquoted(headers.get(wire.ACCEPTED_AT, "")),
            "link.possible_duplicate": headers.get(wire.DUPLICATE, ""),
        }
        media, _, charset = headers.get("content-type", "").partition("; charset=")
        return Inbound(
            Payload(body, media or "application/octet-stream", charset or None),
            self._services.now(),
            peer=f"{names[0]} ({address})" if names else address,
            dedup_key=request.key,
            attributes={name: value for name, value in attributes.items() if value},
            keys={"origin": trace[0]},
        )

    def _refused(self, refusal: Refusal, names: tuple[str, ...]) -> _Reply:
        self._services.log.warning("link refused", code=refusal.code, engine=", ".join(names))
        return _no(refusal.status, refusal.answered, refusal.code, refusal.summary)


def _told(receipt: Receipt) -> _Reply:
    status, answered = _STATUS[receipt.outcome]
    headers: dict[str, str] = {wire.MESSAGE: receipt.message_id} if receipt.message_id else {}
    if answered is Answered.UNAVAILABLE:
        headers["retry-after"] = RETRY_AFTER
    fault = receipt.error
    if fault is None or status < 300:
        return _Reply(status, answered, headers)
    told = {"code": fault.code, "summary": fault.summary, "help": fault.help}
    return _Reply(status, answered, headers, told)


def _no(status: int, answered: Answered, code: str, summary: str) -> _Reply:
    return _Reply(status, answered, told={"code": code, "summary": summary})


def _later(headers: Mapping[str, str], code: str = "", summary: str = "") -> _Reply:
    told = {"code": code, "summary": summary} if code else {}
    return _Reply(503, Answered.UNAVAILABLE, {"retry-after": RETRY_AFTER, **headers}, told)


async def _read(receive: Any, length: int) -> tuple[bytes, bool]:
    """The body, or what came of it; whether it is whole.  The listener ends what takes too long."""
    pieces: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return b"".join(pieces), False
        piece = event.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if not event.get("more_body", False):
            return b"".join(pieces), size == length


async def _write(send: Any, reply: _Reply, scope: Any) -> None:
    body = orjson.dumps(reply.told) if reply.told else b""
    headers = {
        wire.LINK: wire.VERSION,
        wire.OUTCOME: reply.answered.value,
        wire.DELIVERY: scope["path"].rpartition("/")[2],
        "content-length": str(len(body)),
        **({"content-type": "application/json"} if body else {}),
        **reply.headers,
    }
    place = wire.read_address(scope["path"])
    if place is None or not place[1]:
        del headers[wire.DELIVERY]  # nothing of a strange path goes into an answer
    lines = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
