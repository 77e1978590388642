"""Takes each HTTP request as one message, and answers after the engine owns it."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.http.answers import answer, hl7_answer, problem, stopping
from connectors.http.settings import SourceSettings
from connectors.pace import Pace
from connectors.weblistener.listener import Listener, ListenLimits
from engine.contract import (
    Accept,
    ErrorInfo,
    FormatError,
    Inbound,
    NotConnected,
    Payload,
    Receipt,
    Services,
    Stage,
)
from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.acknowledgement import acknowledge

_HL7: Final = frozenset(
    {"application/hl7-v2", "x-application/hl7-v2+er7", "application/hl7-v2+er7"}
)


class HttpSource:
    """See `engine.contract.Source`.  Concurrent between connections, in order on each."""

    def __init__(self, settings: SourceSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._listener: Listener | None = None
        self._types = frozenset(kind.lower() for kind in settings.content_types)
        self._challenge = ""
        self._credential: tuple[str, bytes] | None = None
        if settings.auth is not None:
            name, value = settings.auth.header()
            self._credential = (name.lower(), value.encode("utf-8"))
            self._challenge = 'Bearer realm="carebus"' if settings.auth.bearer else "ApiKey"
            if settings.auth.basic is not None:
                self._challenge = 'Basic realm="carebus", charset="UTF-8"'
        self._pace = Pace(services.limits.rate)

    async def open(self) -> None:
        """Take the port.  Raises NotConnected while somebody else has it (an engine that is just
        stopping), ConfigError when it can never be taken or a certificate cannot be used."""
        if self._listener is not None:
            return
        settings, limits = self._settings, self._services.limits
        context = None
        if settings.tls is not None:
            context = self._services.tls(settings.tls, server=True)
        listener = Listener(
            settings.host,
            settings.port,
            ListenLimits(limits.connections, limits.idle, settings.arrival_timeout),
            context,
            shared=self._services.shares_port,
            refused=lambda reason: self._services.log.warning("http tls refused", reason=reason),
        )
        await listener.take_port("HTTP-LISTEN")
        self._listener = listener

    async def close(self, grace: timedelta) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.stop()

    async def run(self, accept: Accept) -> None:
        """Serve until cancelled.  Who waits for an answer then is told to come again."""
        listener = self._listener
        if listener is None:
            raise NotConnected(ErrorInfo("HTTP-LISTEN", "the channel is not open", Stage.RECEIVING))

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                response = await self._answer(Request(scope, receive), accept)
            except ClientDisconnect:
                return  # it left in the middle of its request: there is no message
            except asyncio.CancelledError:
                # The only one who cancels is `Listener.stop`, which waits for this answer.
                response = stopping()
            await response(scope, receive, send)

        try:
            await listener.run(application)
        finally:
            self._listener = None

    async def _answer(self, request: Request, accept: Accept) -> Response:
        refused = self._refusal(request)
        if refused is not None:
            return refused
        limit = self._services.limits.message
        body = await _read(request, limit)
        if body is None:
            return problem(413)
        media, charset = _content_type(request.headers)
        await self._pace.turn()
        client = request.client
        receipt = await accept(
            Inbound(
                Payload(body, media, charset),
                self._services.now(),
                peer=f"{client.host}:{client.port}" if client else "unknown",
            )
        )
        if media in _HL7 and receipt.reply is None:
            return self._acknowledge(body, charset, receipt, media)
        return answer(receipt, fhir=media == "application/fhir+json")

    def _refusal(self, request: Request) -> Response | None:
        """Everything that can be told from the headers; None when the body is wanted.

        The body of a refused request is dropped piece by piece as it comes, so that the peer gets
        to read the refusal.  A peer that asked before sending its body may never send it: there
        the connection ends.
        """
        settings = self._settings
        close = "expect" in request.headers
        if request.scope["path"] != settings.path:
            return problem(404, close=close)
        if not self._is_known(request):
            return problem(401, headers={"WWW-Authenticate": self._challenge}, close=close)
        if request.method not in settings.methods:
            return problem(405, headers={"Allow": ", ".join(settings.methods)}, close=close)
        headers = request.headers
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            return problem(415, headers={"Accept-Encoding": "identity"}, close=close)
        if self._types and _content_type(headers)[0] not in self._types:
            return problem(415, headers={"Accept": ", ".join(sorted(self._types))}, close=close)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._services.limits.message:
            return problem(413, close=close)
        return None

    def _is_known(self, request: Request) -> bool:
        if self._credential is None:
            return True
        name, wanted = self._credential
        shown = request.headers.getlist(name)
        if len(shown) != 1:
            return False
        given = shown[0]
        if name == "authorization":
            scheme, _, rest = given.partition(" ")
            given = f"{scheme.capitalize()} {rest.strip()}"
        # Starlette decodes headers as latin-1; this gives the bytes that were sent.
        return hmac.compare_digest(given.encode("latin-1"), wanted)

    def _acknowledge(
        self, body: bytes, charset: str | None, receipt: Receipt, media: str
    ) -> Response:
        try:
            message = parse(body, charset or self._services.charset)
        except FormatError:
            message = None
        text = acknowledge(
            message,
            receipt,
            now=self._services.now(),
            control_id=secrets.token_hex(10),
            body=body,
        )
        return hl7_answer(receipt, text, f"{media}; charset={charset}" if charset else media)


async def _read(request: Request, limit: int) -> bytes | None:
    """The whole body; None as soon as it is over the limit.  Raises ClientDisconnect."""
    pieces = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def _content_type(headers: Mapping[str, str]) -> tuple[str, str | None]:
    """Media type in lower case, and the charset it names."""
    media, _, parameters = headers.get("content-type", "application/octet-stream").partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media.strip().lower(), value.strip().strip('"') or None
    return media.strip().lower(), None
