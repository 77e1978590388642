"""The fhir connector, bound to the suite."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from connectors.fhir import SPEC
from connectors.fhir.settings import FhirSettings
from engine.contract import Destination, Payload, Services
from engine.testing.destinations import DestinationConformance
from engine.testing.http_dialect import HttpServerDialect
from engine.testing.peers import TcpServer

SECRET = "Qwertysecret"
REFUSED = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required"}]}'


class FhirDestinationHarness:
    spec = SPEC
    lacks: ClassVar[Mapping[str, str]] = {
        "correlates": "an answer belongs to the only request on its connection",
        "empty": "a resource is a JSON object",
    }
    secrets = (SECRET,)
    tls = None
    refusal = "required"

    def __init__(self, folder: Path) -> None:
        self.peer = TcpServer(HttpServerDialect(refusal_body=REFUSED))

    async def start(self) -> None:
        await self.peer.listen()

    async def stop(self) -> None:
        await self.peer.vanish()

    def create(self, services: Services) -> Destination:
        settings = FhirSettings.model_validate(
            {
                "url": f"http://127.0.0.1:{self.peer.port}/fhir",
                "auth": {"basic": {"user": "carebus", "password": SECRET}},
                "timeout": "300ms",
                "connect_timeout": "1s",
                "max_in_flight": 64,
            }
        )
        destination: Destination = SPEC.destination.create(settings, services)
        return destination

    def payload(self, content: bytes) -> Payload:
        data = b64encode(content)
        body = b'{"resourceType":"Bundle","type":"transaction","signature":{"data":"%b"}}' % data
        return Payload(body, "application/fhir+json", "utf-8")


class TestFhirDestination(DestinationConformance):
    harness = FhirDestinationHarness
