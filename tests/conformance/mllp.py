"""The MLLP harnesses: how our connector is made, and how its peers speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.mllp import SPEC
from connectors.mllp.settings import MllpListenerSettings, MllpSenderSettings
from engine.contract import Destination, Outcome, Payload, Services, Source
from engine.testing.harness import Reply
from engine.testing.peers import TcpPeer, TcpServer, dial, free_port
from engine.testing.services import TlsContexts

REPLY_TIMEOUT = "300ms"

_CODES = {
    "AA": Outcome.ACCEPTED,
    "CA": Outcome.ACCEPTED,
    "AR": Outcome.REJECTED,
    "CR": Outcome.REJECTED,
    "AE": Outcome.UNAVAILABLE,
    "CE": Outcome.UNAVAILABLE,
}


def adt(content: bytes, control_id: str = "MSG1") -> bytes:
    """A small ADT that ends with ``content``."""
    head = rf"MSH|^~\&|HIS|H|CB|H|20260101||ADT^A01|{control_id}|P|2.5.1".encode()
    return head + b"\rPID|1||77^^^A\rZZZ|" + content


class MllpClient:
    """How a sending system speaks, written from the standard and not with the connector."""

    def wire(self, body: bytes) -> bytes:
        return b"\x0b" + body + b"\x1c\r"

    def envelope(self, size: int) -> tuple[bytes, bytes]:
        return b"\x0b" + adt(b""), b"\x1c\r"

    def take_answer(self, buffer: bytearray) -> Outcome | None:
        end = buffer.find(b"\x1c\r")
        if end < 0:
            return None
        answer = bytes(buffer[1:end]).decode()
        del buffer[: end + 2]
        msa = next(line for line in answer.split("\r") if line.startswith("MSA|"))
        return _CODES[msa.split("|")[1]]


class MllpServer:
    """How a receiving system speaks."""

    def take_requests(self, buffer: bytearray) -> Iterable[bytes]:
        if not buffer.endswith(b"\x1c\r"):
            return  # a sender waits for its answer: nothing is behind a whole request
        while (end := buffer.find(b"\x1c\r")) >= 0:
            body = bytes(buffer[1:end])
            del buffer[: end + 2]
            yield body

    def reply(self, reply: Reply, body: bytes) -> bytes:
        control_id = body.split(b"\r", 1)[0].split(b"|")[9]
        if reply is Reply.GARBLED:
            return b"\x0bnot an acknowledgement\x1c\r"
        if reply is Reply.FOREIGN:
            control_id += b"-other"
        code = {Reply.NEVER: b"AR", Reply.LATER: b"AE"}.get(reply, b"AA")
        head = rb"MSH|^~\&|R|R|S|S|20260101||ACK|9|P|2.5.1"
        return b"\x0b" + head + b"\rMSA|" + code + b"|" + control_id + b"\r\x1c\r"


class MllpSourceHarness:
    """Our listener on a free port."""

    spec = SPEC
    lacks: Mapping[str, str] = {}
    secrets: Sequence[str] = ()
    tls: TlsContexts | None = None
    settings: Mapping[str, Any] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.peers: list[TcpPeer] = []

    async def start(self) -> None: ...

    async def stop(self) -> None:
        for peer in self.peers:
            await peer.leave()

    def create(self, services: Services) -> Source:
        settings = MllpListenerSettings(host="127.0.0.1", port=self.port, **self.settings)
        assert self.spec.source is not None
        source: Source = self.spec.source.create(settings, services)
        return source

    def body(self, content: bytes) -> bytes:
        return adt(content)

    def wire(self, body: bytes) -> bytes:
        return MllpClient().wire(body)

    def malformed(self) -> Sequence[bytes]:
        return (b"GET / HTTP/1.1\r\n\r\n", b"\x1c\r", b"\x0bMSH|^~\\&|never ended", b"x" * 20000)

    async def connect(self) -> TcpPeer:
        peer = await dial("127.0.0.1", self.port, MllpClient())
        self.peers.append(peer)
        return peer


class MllpDestinationHarness:
    """Our sender, and a receiving system that follows the script."""

    spec = SPEC
    lacks: Mapping[str, str] = {
        "retry_after": "an MLLP acknowledgement has no field for when to come again",
    }
    secrets: Sequence[str] = ()
    tls: TlsContexts | None = None
    settings: Mapping[str, Any] = {}
    refusal = "AR"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peer = TcpServer(MllpServer())
        self._number = 0

    async def start(self) -> None:
        await self.peer.listen()

    async def stop(self) -> None:
        await self.peer.vanish()

    def create(self, services: Services) -> Destination:
        settings = MllpSenderSettings(
            host="127.0.0.1",
            port=self.peer.port,
            reply_timeout=REPLY_TIMEOUT,
            **self.settings,
        )
        assert self.spec.destination is not None
        destination: Destination = self.spec.destination.create(settings, services)
        return destination

    def payload(self, content: bytes) -> Payload:
        self._number += 1
        return Payload(adt(content, f"MSG{self._number}"), "application/hl7-v2")
