"""The harnesses of the carebus connector: how our two sides are made, and how their peers speak,
written out by hand from docs/links.md and not with the connector."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from connectors.carebus import SPEC
from connectors.carebus.settings import LinkDestinationSettings, LinkSourceSettings
from engine.contract import Destination, Payload, Services, Source
from engine.testing.harness import Reply
from engine.testing.http_dialect import HttpClientDialect, HttpServerDialect
from engine.testing.peers import TcpPeer, TcpServer, dial, free_port
from engine.testing.services import TlsContexts
from tests.conformance.certificates import Identity, certificates
from tests.conformance.tls import call, contexts

_PUT = re.compile(r"^PUT /link/there/(\S+) HTTP/1\.1", re.MULTILINE)


def listening(identity: Identity | None = None) -> dict[str, Any]:
    """The TLS settings of a receiving engine."""
    made = certificates()
    shown = identity or made.server
    pair = {"certificate": str(shown.certificate), "key": str(shown.key)}
    return {**pair, "ca": str(made.ca), "require_client_certificate": True}


def calling(identity: Identity | None = None, **more: object) -> dict[str, Any]:
    """The TLS settings of a sending engine."""
    made = certificates()
    shown = identity or made.client
    pair = {"certificate": str(shown.certificate), "key": str(shown.key)}
    return {**pair, "ca": str(made.ca), **more}


class SendingEngine(HttpClientDialect):
    """Each message is a delivery of its own."""

    def __init__(self, channel: str = "under-test") -> None:
        super().__init__(headers={"Carebus-Link": "1"})
        self._channel = channel
        self._numbers = itertools.count(1)

    def envelope(self, size: int) -> tuple[bytes, bytes]:
        key = f"00000000-0000-7000-8000-{next(self._numbers):012x}.0123456789abcdef"
        before, after = super().envelope(size)
        line = f"PUT /link/{self._channel}/{key} HTTP/1.1".encode()
        return line + before[before.index(b"\r\n") :], after


class ReceivingEngine(HttpServerDialect):
    """Says which delivery it answers."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[bytes, str] = {}

    def take_requests(self, buffer: bytearray) -> Iterable[bytes]:
        for body in super().take_requests(buffer):
            match = _PUT.search(self.heads[-1])
            assert match is not None, self.heads[-1]
            self._keys[body] = match[1]
            yield body

    def reply(self, reply: Reply, body: bytes) -> bytes:
        key = self._keys[body]
        match reply:
            case Reply.GARBLED:
                return b"220 mail.example ESMTP ready\r\n"
            case Reply.FOREIGN:
                return self.says("201 Created", "accepted", key[::-1])
            case Reply.NEVER:
                told = b'{"code": "HL7-SYNTAX", "summary": "no MSH"}'
                return self.says("422 Unprocessable Content", "rejected", key, told)
            case Reply.LATER:
                return self.says("503 Service Unavailable", "unavailable", key)
            case _:
                return self.says("201 Created", "accepted", key)

    @staticmethod
    def says(status: str, outcome: str, key: str, body: bytes = b"") -> bytes:
        """One answer."""
        head = (
            f"HTTP/1.1 {status}\r\nCarebus-Link: 1\r\nCarebus-Outcome: {outcome}\r\n"
            f"Carebus-Delivery: {key}\r\nCarebus-Message: m-1\r\nRetry-After: 7\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body


class LinkDestinationHarness:
    """Our sender, and a receiving engine that follows the script."""

    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {}
    secrets: Sequence[str] = ()
    tls: TlsContexts | None = None
    refusal = "HL7-SYNTAX"

    def __init__(self, folder: Path) -> None:
        self.peer = TcpServer(ReceivingEngine())

    async def start(self) -> None:
        await self.peer.listen()

    async def stop(self) -> None:
        await self.peer.vanish()

    def settings(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.peer.port}"}

    def create(self, services: Services) -> Destination:
        settings = LinkDestinationSettings.model_validate(
            {
                **self.settings(),
                "channel": "there",
                "timeout": "300ms",
                "max_in_flight": 64,
                "compress": "none",
                "part": "64MiB",  # the script knows whole messages only
            }
        )
        assert SPEC.destination is not None
        destination: Destination = SPEC.destination.create(settings, services)
        return destination

    def payload(self, content: bytes) -> Payload:
        return Payload(content, "text/plain", "utf-8")


class TlsLinkDestinationHarness(LinkDestinationHarness):
    tls = staticmethod(contexts)

    def __init__(self, folder: Path) -> None:
        self.peer = TcpServer(ReceivingEngine(), tls=contexts(listening(), True))

    def settings(self) -> dict[str, Any]:
        return {"url": f"https://localhost:{self.peer.port}", "tls": calling()}


class LinkSourceHarness:
    """Our receiving side, and engines that send to it."""

    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {}
    secrets: Sequence[str] = ()
    tls: TlsContexts | None = None

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.dialect = SendingEngine()
        self.peers: list[TcpPeer] = []

    async def start(self) -> None: ...
    async def stop(self) -> None:
        for peer in self.peers:
            await peer.leave()

    def settings(self) -> dict[str, Any]:
        return {"port": self.port}

    def create(self, services: Services) -> Source:
        assert SPEC.source is not None
        settings = LinkSourceSettings.model_validate(self.settings())
        source: Source = SPEC.source.create(settings, services)
        return source

    def body(self, content: bytes) -> bytes:
        return content

    def wire(self, body: bytes) -> bytes:
        return self.dialect.wire(body)

    def malformed(self) -> Sequence[bytes]:
        head = b"PUT /link/under-test/m-1.0123456789abcdef HTTP/1.1\r\nCarebus-Link: 1\r\n"
        return (
            b"\x16\x03\x01\x02\x00 this is a TLS hello on a plain port\r\n\r\n",
            b"GET /link/under-test HTTP/9.9 nonsense\r\n\r\n",
            head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            head + b"Content-Range: bytes 5-2/9\r\nContent-Length: 3\r\n\r\nabc",
            head + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            head + b"A: " + b"a" * 70_000,
        )

    async def connect(self) -> TcpPeer:
        peer = await dial("127.0.0.1", self.port, self.dialect)
        self.peers.append(peer)
        return peer


class TlsLinkSourceHarness(LinkSourceHarness):
    tls = staticmethod(contexts)

    def settings(self) -> dict[str, Any]:
        return {"port": self.port, "tls": listening(), "peers": ["client"]}

    async def connect(self, settings: Mapping[str, Any] | None = None) -> TcpPeer:
        peer = await call(self.port, settings or calling(), self.dialect)
        self.peers.append(peer)
        return peer
