"""What the listener does beyond the common promises: limits, times, odd peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from connectors.mllp.settings import MllpListenerSettings
from connectors.mllp.source import MllpSource
from engine.contract import Inbound, Limits, NotConnected, Outcome, Payload, Receipt
from engine.testing.accepting import RecordingAccept
from engine.testing.services import MemoryServices

HEAD = rb"MSH|^~\&|HIS|H|CB|H|20260101||ADT^A01|"


def adt(control_id: bytes, content: bytes = b"77", version: bytes = b"2.5.1") -> bytes:
    return HEAD + control_id + b"|P|" + version + b"\rPID|1||" + content


def wire(body: bytes) -> bytes:
    return b"\x0b" + body + b"\x1c\r"


class Listening:
    def __init__(self, source: MllpSource, services: MemoryServices, task: Any) -> None:
        self.source = source
        self.services = services
        self.task = task
        self.writers: list[asyncio.StreamWriter] = []

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_connection("127.0.0.1", self.source.port)
        self.writers.append(streams[1])
        return streams


@asynccontextmanager
async def listening(
    accept: Any, limits: Limits | None = None, **settings: Any
) -> AsyncIterator[Listening]:
    services = MemoryServices(limits=limits)
    source = MllpSource(MllpListenerSettings(port=0, **settings), services)
    await source.open()
    live = Listening(source, services, asyncio.create_task(source.run(accept)))
    await asyncio.sleep(0)
    try:
        yield live
    finally:
        for writer in live.writers:
            writer.close()
        live.task.cancel()
        await asyncio.gather(live.task, return_exceptions=True)
        await source.close(timedelta(seconds=1))


async def said(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\x1c\r")


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What is left until the connection ends."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


async def test_inbound_says_where_it_came_from() -> None:
    accept = RecordingAccept()
    async with listening(accept) as live:
        reader, writer = await live.dial()
        host, port = writer.get_extra_info("sockname")
        writer.write(wire(adt(b"1")))
        assert b"MSA|AA|1\r" in await said(reader)
    assert accept.received[0].peer == f"{host}:{port}"
    assert accept.received[0].payload.content_type == "application/hl7-v2"
    assert accept.received[0].received_at.tzinfo is not None


async def test_address_in_use() -> None:
    async with listening(RecordingAccept()) as live:
        second = MllpSource(MllpListenerSettings(port=live.source.port), MemoryServices())
        with pytest.raises(NotConnected, match="MLLP-LISTEN"):
            await second.open()
        await second.close(timedelta())


async def test_sender_may_stop_sending_and_still_read() -> None:
    accept = RecordingAccept()
    async with listening(accept) as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"1")) + wire(adt(b"2"))[:-1])  # the last CR never comes
        writer.write_eof()
        answers = await ended(reader)
    assert answers.count(b"MSA|AA|1\r") == 1
    assert answers.count(b"MSA|AA|2\r") == 1


async def test_missing_cr_is_not_waited_for() -> None:
    accept = RecordingAccept()
    async with listening(accept) as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"1"))[:-1])
        assert b"MSA|AA|1\r" in await said(reader)
        writer.write(wire(adt(b"2")))
        assert b"MSA|AA|2\r" in await said(reader)


@pytest.mark.parametrize("body", [b"", b"no message", b"MSH|", HEAD, b"\xff" * 50, b"MSH" * 9])
async def test_unreadable_message_is_answered_and_the_connection_goes_on(body: bytes) -> None:
    accept = RecordingAccept(lambda inbound: _readable(inbound))
    async with listening(accept) as live:
        reader, writer = await live.dial()
        writer.write(wire(body))
        answer = await said(reader)
        assert b"\rMSA|AR|" in answer
        writer.write(wire(adt(b"2")))
        assert b"MSA|AA|2\r" in await said(reader)
    assert accept.bodies[0] == body


def _readable(inbound: Inbound) -> Outcome:
    return Outcome.ACCEPTED if b"PID" in inbound.payload.body else Outcome.REJECTED


async def test_control_id_that_would_break_the_answers_frame() -> None:
    async with listening(RecordingAccept()) as live:
        reader, writer = await live.dial()
        writer.write(wire(HEAD + b"7\x1c|P|2.5\rPID|1"))
        assert b"MSA|AA|7" in await said(reader)
        writer.write(wire(adt(b"2")))
        assert b"MSA|AA|2\r" in await said(reader)
        assert not live.task.done()


async def test_sender_that_wants_no_answer_gets_none() -> None:
    async with listening(RecordingAccept()) as live:
        reader, writer = await live.dial()
        quiet = adt(b"1", version=b"2.5|||NE|NE")
        enhanced = adt(b"2", version=b"2.5|||AL|NE")
        writer.write(wire(quiet) + wire(enhanced))
        assert b"MSA|CA|2\r" in await said(reader)


async def test_reply_of_the_receipt_is_the_answer() -> None:
    async def accept(_inbound: Inbound) -> Receipt:
        return Receipt(Outcome.ACCEPTED, reply=Payload(b"MSH|the reply"))

    async with listening(accept) as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"1")))
        assert await said(reader) == wire(b"MSH|the reply")


async def test_oversize_is_refused_by_name() -> None:
    accept = RecordingAccept()
    async with listening(accept, Limits(message=1000)) as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"BIG1", b"x" * 500_000)))
        answer = await said(reader)
        assert b"MSA|AR|BIG1\r" in answer
        assert b"MLLP-TOO-LARGE" in answer
        writer.write(wire(adt(b"2")))
        assert b"MSA|AA|2\r" in await said(reader)
    assert accept.bodies == [adt(b"2")]


async def test_too_much_junk_ends_the_connection_only() -> None:
    async with listening(RecordingAccept()) as live:
        reader, writer = await live.dial()
        writer.write(b"x" * 5000)
        assert await ended(reader) == b""
        assert [line.event for line in live.services.logged] == ["mllp connection closed"]
        reader, writer = await live.dial()
        writer.write(wire(adt(b"2")))
        assert b"MSA|AA|2\r" in await said(reader)


async def test_connection_limit() -> None:
    async with listening(RecordingAccept(), Limits(connections=2)) as live:
        first, _ = await live.dial(), await live.dial()
        for _ in range(3):
            refused, _ = await live.dial()
            assert await ended(refused) == b""
        warnings = [line for line in live.services.logged if line.level == "warning"]
        assert len(warnings) == 1, "a flood must not flood the log"
        first[1].close()
        await ended(first[0])
        for _ in range(100):
            reader, writer = await live.dial()
            writer.write(wire(adt(b"2")))
            if b"MSA|AA|2\r" in await ended_or_said(reader):
                return
        pytest.fail("the place that became free is not given away")


async def ended_or_said(reader: asyncio.StreamReader) -> bytes:
    try:
        return await said(reader)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def test_idle_connections_end() -> None:
    accept = RecordingAccept()
    async with listening(accept, Limits(idle=timedelta(milliseconds=80))) as live:
        silent, _ = await live.dial()
        drip, dripping = await live.dial()
        busy, working = await live.dial()
        accept.hold()
        working.write(wire(adt(b"1")))
        dripping.write(b"\x0bMSH")

        async def keep_dripping() -> None:
            while True:
                dripping.write(b"x")
                await asyncio.sleep(0.01)

        drops = asyncio.create_task(keep_dripping())
        assert await ended(silent) == b""
        assert await ended(drip) == b""  # a byte now and then keeps no place
        drops.cancel()
        accept.release()
        assert b"MSA|AA|1\r" in await said(busy)  # waiting for accept is not idling


async def test_rate_is_kept_by_waiting() -> None:
    accept = RecordingAccept()
    async with listening(accept, Limits(rate=100.0)) as live:
        reader, writer = await live.dial()
        start = asyncio.get_running_loop().time()
        for number in range(30):
            writer.write(wire(adt(b"%d" % number)))
            assert b"MSA|AA" in await said(reader)
        took = asyncio.get_running_loop().time() - start
    assert took > 0.15, f"30 messages at 100/s took {took:.3f} s"


async def test_acknowledge_timeout_says_send_again() -> None:
    accept = RecordingAccept()
    accept.hold()
    async with listening(accept, acknowledge_timeout="50ms") as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"1")))
        answer = await said(reader)
        assert b"MSA|AE|1\r" in answer
        assert b"MLLP-LATE" in answer
        assert accept.cancelled == 1


async def test_defect_in_accept_ends_run_without_an_answer() -> None:
    async def accept(_inbound: Inbound) -> Receipt:
        raise ZeroDivisionError

    async with listening(accept) as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"1")))
        assert await ended(reader) == b""
        with pytest.raises(ZeroDivisionError):
            await live.task


async def test_accepted_within_the_grace_is_still_answered() -> None:
    accept = RecordingAccept()
    accept.hold()
    async with listening(accept) as live:
        reader, writer = await live.dial()
        writer.write(wire(adt(b"1")) + wire(adt(b"2")))
        await accept.count(1)
        live.task.cancel()
        await asyncio.wait([live.task])
        closing = asyncio.create_task(live.source.close(timedelta(seconds=5)))
        await asyncio.sleep(0)
        accept.release()
        answers = await ended(reader)
        await closing
    assert answers.count(b"MSA|AA|1\r") == 1
    assert b"|2\r" not in answers
    assert accept.bodies == [adt(b"1")]
