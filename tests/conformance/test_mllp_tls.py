"""The mllp connector keeps its promises over TLS with client certificates too, and refuses those
who have none without harm to the others."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors.mllp.destination import MllpDestination
from connectors.mllp.settings import MllpSenderSettings
from engine.contract import Limits, NotConnected, Outcome
from engine.testing.destinations import DestinationConformance
from engine.testing.harness import Gone
from engine.testing.peers import TcpPeer, TcpServer
from engine.testing.running import running
from engine.testing.services import MemoryServices
from engine.testing.sources import SourceConformance
from tests.conformance.certificates import PASSWORD, Identity, certificates
from tests.conformance.mllp import (
    MllpClient,
    MllpDestinationHarness,
    MllpServer,
    MllpSourceHarness,
    adt,
)
from tests.conformance.tls import call, contexts


def listening() -> Mapping[str, Any]:
    """What a listener's channel file says."""
    made = certificates()
    return {
        "certificate": str(made.server.certificate),
        "key": str(made.encrypted_key),
        "key_password": PASSWORD,
        "ca": str(made.ca),
        "require_client_certificate": True,
    }


def calling(identity: Identity | None = None, **more: object) -> Mapping[str, Any]:
    """What a sender's channel file says."""
    made = certificates()
    shown = identity or made.client
    pair = {"certificate": str(shown.certificate), "key": str(shown.key)}
    return {**pair, "ca": str(made.ca), **more}


class TlsSourceHarness(MllpSourceHarness):
    tls = staticmethod(contexts)
    secrets = (PASSWORD,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = {"tls": dict(listening())}

    async def connect(self) -> TcpPeer:
        peer = await call(self.port, calling(), MllpClient())
        self.peers.append(peer)
        return peer


class TlsDestinationHarness(MllpDestinationHarness):
    tls = staticmethod(contexts)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.peer = TcpServer(MllpServer(), tls=contexts(listening(), True))
        self.settings = {"tls": dict(calling())}


class TestMllpTlsSource(SourceConformance):
    harness = TlsSourceHarness
    connects: ClassVar[int] = 200  # each shakes hands; the plain binding makes a thousand


class TestMllpTlsDestination(DestinationConformance):
    harness = TlsDestinationHarness


class TestRefusedPeers:
    """Whoever is not let in is refused clearly, and nobody else is harmed."""

    async def _after_refusal(self, source: TlsSourceHarness, attempt: Any, reason: str) -> None:
        limits = Limits(connections=2)
        services = MemoryServices(limits=limits, tls=contexts)
        async with running(source, services=services) as live:
            friend = await source.connect()
            for _ in range(3):  # more than there is room for: each must leave its place
                await attempt(source.port)
            await friend.offer(adt(b"friend"))
            assert await friend.answer() is Outcome.ACCEPTED
            assert live.accept.bodies == [adt(b"friend")]
        refusals = [line for line in services.logged if line.event == "mllp tls refused"]
        assert len(refusals) == 3, services.logged
        assert {line.level for line in refusals} == {"warning"}
        assert reason in str(refusals[0].values["reason"]), refusals[0]

    @pytest.fixture
    async def source(self, tmp_path: Path) -> Any:
        rig = TlsSourceHarness(tmp_path)
        yield rig
        await rig.stop()

    async def _handshake(self, port: int, settings: Mapping[str, Any]) -> None:
        """TLS 1.3 tells a client of its refusal with the first read, 1.2 at once."""
        try:
            peer = await call(port, settings, MllpClient())
        except (ssl.SSLError, ConnectionError):
            return
        with pytest.raises(Gone):
            await peer.answer()
        await peer.leave()

    async def test_no_client_certificate(self, source: TlsSourceHarness) -> None:
        async def attempt(port: int) -> None:
            await self._handshake(port, {"ca": str(certificates().ca)})

        await self._after_refusal(source, attempt, "PEER_DID_NOT_RETURN_A_CERTIFICATE")

    async def test_certificate_of_another_authority(self, source: TlsSourceHarness) -> None:
        async def attempt(port: int) -> None:
            await self._handshake(port, calling(certificates().stranger))

        await self._after_refusal(source, attempt, "CERTIFICATE_VERIFY_FAILED")

    async def test_plain_client(self, source: TlsSourceHarness) -> None:
        async def attempt(port: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(MllpClient().wire(adt(b"plain")))
            try:
                answer = await reader.read(65536)
            except ConnectionError:
                answer = b""
            assert b"MSA|AA" not in answer
            writer.close()

        await self._after_refusal(source, attempt, "")

    async def test_silent_client_is_not_waited_for(self, source: TlsSourceHarness) -> None:
        source.settings = {**source.settings, "handshake_timeout": "100ms"}

        async def attempt(port: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()

        await self._after_refusal(source, attempt, "")


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ("expired", "certificate has expired"),
        ("misnamed", "not valid for"),
        ("stranger", "unable to get local issuer certificate"),
    ],
)
async def test_unfit_server_is_not_sent_to(identity: str, reason: str) -> None:
    shown: Identity = getattr(certificates(), identity)
    context = contexts({"certificate": str(shown.certificate), "key": str(shown.key)}, True)
    peer = TcpServer(MllpServer(), tls=context)
    await peer.listen()
    services = MemoryServices(tls=contexts)
    settings = MllpSenderSettings(host="127.0.0.1", port=peer.port, tls=dict(calling()))
    destination = MllpDestination(settings, services)
    with pytest.raises(NotConnected) as caught:
        await destination.open()
    assert caught.value.info.code == "MLLP-TLS"
    assert reason in caught.value.info.summary
    (check,) = await destination.check()
    assert not check.ok
    assert reason in check.detail
    await peer.vanish()
    assert not peer.received


async def test_plain_server_is_not_spoken_to_in_the_clear() -> None:
    peer = TcpServer(MllpServer())
    await peer.listen()
    settings = MllpSenderSettings(host="127.0.0.1", port=peer.port, tls=dict(calling()))
    destination = MllpDestination(settings, MemoryServices(tls=contexts))
    waiting = asyncio.create_task(destination.open())
    while not peer.connections:
        await asyncio.sleep(0.002)
    await peer.vanish()  # it would wait for the rest of what it takes for a message
    with pytest.raises(NotConnected) as caught:
        await waiting
    assert caught.value.info.code in ("MLLP-TLS", "MLLP-CONNECT")
