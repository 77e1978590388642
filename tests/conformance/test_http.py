"""The http connector, bound to the suites."""

from __future__ import annotations

from pathlib import Path

from connectors.http import SPEC
from connectors.http.settings import DestinationSettings
from engine.contract import Destination, Payload, Services
from engine.testing.destinations import DestinationConformance
from engine.testing.http_dialect import HttpServerDialect
from engine.testing.peers import TcpServer

SECRET = "Qwertysecret"


class HttpDestinationHarness:
    spec = SPEC
    lacks = {"correlates": "an answer belongs to the only request on its connection"}
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
