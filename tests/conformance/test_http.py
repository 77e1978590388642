"""The http connector, bound to the suites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from connectors.http import SPEC
from connectors.http.settings import DestinationSettings, SourceSettings
from engine.contract import Destination, Payload, Services, Source
from engine.testing.destinations import DestinationConformance
from engine.testing.http_dialect import HttpClientDialect, HttpServerDialect
from engine.testing.peers import TcpPeer, TcpServer, dial, free_port
from engine.testing.sources import SourceConformance

SECRET = "Qwertysecret"


class HttpDestinationHarness:
    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {
        "correlates": "an answer belongs to the only request on its connection"
    }
    secrets = (SECRET,)
    tls = None
    refusal = "422"

    def __init__(self, folder: Path) -> None:
        self.peer = TcpServer(HttpServerDialect(body=b'{"taken": true}'))

    async def start(self) -> None:
        await self.peer.listen()

    async def stop(self) -> None:
        await self.peer.vanish()

    def create(self, services: Services) -> Destination:
        settings = DestinationSettings.model_validate(
            {
                "url": f"http://127.0.0.1:{self.peer.port}/in?key={SECRET}",
                "auth": {"bearer": SECRET},
                "timeout": "300ms",
                "connect_timeout": "1s",
                "max_in_flight": 64,
            }
        )
        destination: Destination = SPEC.destination.create(settings, services)
        return destination

    def payload(self, content: bytes) -> Payload:
        return Payload(content, "text/plain", "utf-8")


class TestHttpDestination(DestinationConformance):
    harness = HttpDestinationHarness


class HttpSourceHarness:
    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {}
    secrets = (SECRET,)
    tls = None

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.dialect = HttpClientDialect(
            f"/in?key={SECRET}", headers={"Authorization": f"Bearer {SECRET}"}
        )

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def create(self, services: Services) -> Source:
        settings = SourceSettings.model_validate(
            {"port": self.port, "path": "/in", "auth": {"bearer": SECRET}}
        )
        source: Source = SPEC.source.create(settings, services)
        return source

    def body(self, content: bytes) -> bytes:
        return content

    def wire(self, body: bytes) -> bytes:
        return self.dialect.wire(body)

    def malformed(self) -> Sequence[bytes]:
        return (
            b"\x16\x03\x01\x02\x00 this is a TLS hello on a plain port\r\n\r\n",
            b"GET /in HTTP/9.9 nonsense\r\n\r\n",
            b"POST /in HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            b"POST /in HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
            b"POST /in HTTP/1.1\r\nA: " + b"a" * 70_000,
        )

    async def connect(self) -> TcpPeer:
        return await dial("127.0.0.1", self.port, self.dialect)


class TestHttpSource(SourceConformance):
    harness = HttpSourceHarness
