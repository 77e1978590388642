"""What the sender does beyond the common promises: which replies count, and for what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.mllp.destination import MllpDestination
from connectors.mllp.settings import MllpSenderSettings
from engine.contract import (
    ChannelName,
    Checkable,
    Message,
    MessageId,
    NotConnected,
    Outbound,
    Payload,
    RejectedError,
    RetryableError,
    UncertainError,
)
from engine.testing.peers import free_port
from engine.testing.services import MemoryServices

HEAD = rb"MSH|^~\&|CB|H|LIS|H|20260101||ORU^R01|"


def outbound(body: bytes) -> Outbound:
    payload = Payload(body, "application/hl7-v2")
    id = MessageId("00000000-0000-7000-8000-000000000001")
    return Outbound(Message(id, ChannelName("origin"), payload, datetime.now(UTC)), payload)


def oru(control_id: bytes) -> Outbound:
    return outbound(HEAD + control_id + b"|P|2.5\rOBX|1")


def wire(body: bytes) -> bytes:
    return b"\x0b" + body + b"\x1c\r"


def ack(code: bytes, control_id: bytes) -> bytes:
    return wire(rb"MSH|^~\&|L|H|C|H|2026||ACK|9|P|2.5" + b"\rMSA|" + code + b"|" + control_id)


Says = Callable[[int], bytes]


@asynccontextmanager
async def peer(says: Says, **settings: Any) -> AsyncIterator[tuple[MllpDestination, Any]]:
    """A receiver that answers its n-th message with ``says(n)``, and an open sender to it."""
    heard: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                heard.append(await reader.readuntil(b"\x1c\r"))
                writer.write(says(len(heard)))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given = {"reply_timeout": "150ms", **settings}
    services = MemoryServices()
    destination = MllpDestination(
        MllpSenderSettings(host="127.0.0.1", port=port, **given), services
    )
    destination.services = services  # type: ignore[attr-defined]
    await destination.open()
    try:
        yield destination, heard
    finally:
        await destination.close(timedelta(seconds=1))
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("code", [b"AA", b"CA"])
async def test_positive(code: bytes) -> None:
    async with peer(lambda _: ack(code, b"7")) as (destination, heard):
        delivered = await destination.send(oru(b"7"))
        assert delivered.reply is not None
        assert delivered.reply.body == ack(code, b"7")[1:-2]
        assert heard == [wire(HEAD + b"7|P|2.5\rOBX|1")]


@pytest.mark.parametrize(
    ("code", "kind", "own"),
    [
        (b"AE", RetryableError, "MLLP-NAK"),
        (b"CE", RetryableError, "MLLP-NAK"),
        (b"AR", RejectedError, "MLLP-REJECTED"),
        (b"CR", RejectedError, "MLLP-REJECTED"),
    ],
)
@pytest.mark.parametrize("control_id", [b"7", b""], ids=["named", "unnamed"])
async def test_negative(code: bytes, kind: Any, own: str, control_id: bytes) -> None:
    replies = [ack(code, control_id), ack(b"AA", b"8")]
    async with peer(lambda number: replies[number - 1]) as (destination, _):
        with pytest.raises(kind) as caught:
            await destination.send(oru(b"7"))
        assert caught.value.info.peer_code == code.decode()
        assert caught.value.info.code == own
        await destination.send(oru(b"8"))  # on the same connection


async def test_positive_that_names_nothing_is_not_ours() -> None:
    async with peer(lambda _: ack(b"AA", b"")) as (destination, _):
        with pytest.raises(UncertainError, match="MLLP-NO-REPLY"):
            await destination.send(oru(b"7"))
        with pytest.raises(NotConnected, match="MLLP-LOST"):
            await destination.send(oru(b"8"))


async def test_receiver_that_repeats_no_control_id() -> None:
    async with peer(lambda _: ack(b"AA", b""), match_control_id=False) as (destination, _):
        assert (await destination.send(oru(b"7"))).reply is not None
        assert (await destination.send(outbound(b"no header at all"))).reply is not None


async def test_reply_to_another_is_passed_over() -> None:
    both = ack(b"AR", b"other") + ack(b"AA", b"7")
    async with peer(lambda _: both) as (destination, _):
        await destination.send(oru(b"7"))
        logged = destination.services.logged  # type: ignore[attr-defined]
        assert [line.values["peer_code"] for line in logged] == ["AR"]


async def test_enhanced_mode_second_acknowledgement_is_dropped() -> None:
    def says(number: int) -> bytes:
        id = b"%d" % number
        return ack(b"CA", id) + ack(b"AE", id)

    async with peer(says) as (destination, heard):
        for number in (1, 2, 3):
            await destination.send(oru(b"%d" % number))
        assert len(heard) == 3


async def test_reply_without_its_cr() -> None:
    async with peer(lambda _: ack(b"AA", b"7")[:-1], reply_timeout="5s") as (destination, _):
        assert (await destination.send(oru(b"7"))).reply is not None


@pytest.mark.parametrize(
    "reply",
    [wire(b"nonsense"), wire(b""), wire(HEAD + b"1|P|2.5"), ack(b"XX", b"7"), b"j" * 9000],
    ids=["no message", "empty", "no MSA", "unknown code", "no frame"],
)
async def test_garbled_reply(reply: bytes) -> None:
    async with peer(lambda _: reply) as (destination, _):
        with pytest.raises(UncertainError, match="MLLP-BAD-REPLY"):
            await destination.send(oru(b"7"))
        with pytest.raises(NotConnected):
            await destination.send(oru(b"8"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (HEAD + b"7|P|2.5\rOBX|\x1c\r", "MLLP-UNFRAMABLE"),
        (HEAD + b"|P|2.5", "MLLP-NO-CONTROL-ID"),
        (b"", "MLLP-NO-CONTROL-ID"),
        (b"<xml/>", "MLLP-NO-CONTROL-ID"),
    ],
)
async def test_what_cannot_be_sent_is_rejected_before_a_byte(body: bytes, code: str) -> None:
    async with peer(lambda _: ack(b"AA", b"7")) as (destination, heard):
        with pytest.raises(RejectedError, match=code):
            await destination.send(outbound(body))
        await destination.send(oru(b"7"))
        assert len(heard) == 1


async def test_header_decides_when_the_rest_cannot_be_read() -> None:
    async with peer(lambda _: ack(b"AA", b"7")) as (destination, _):
        await destination.send(outbound(HEAD + b"7|P|2.5\rOBX|\xff\xfe\x00"))


async def test_check_connects_and_sends_nothing() -> None:
    async with peer(lambda _: b"") as (destination, heard):
        assert isinstance(destination, Checkable)
        (check,) = await destination.check()
        assert check.ok
        assert not heard


async def test_check_says_what_to_do() -> None:
    settings = MllpSenderSettings(host="127.0.0.1", port=free_port())
    (check,) = await MllpDestination(settings, MemoryServices()).check()
    assert not check.ok
    assert "firewall" in check.detail


async def test_close_lets_the_message_in_flight_have_its_reply() -> None:
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        release.set()
        writer.write(ack(b"AA", b"7"))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    destination = MllpDestination(MllpSenderSettings(host="127.0.0.1", port=port), MemoryServices())
    await destination.open()
    send = asyncio.create_task(destination.send(oru(b"7")))
    await release.wait()
    await destination.close(timedelta(seconds=2))
    assert (await send).reply is not None
    server.close()
    await server.wait_closed()
