"""What every destination promises, D1 to D14.

Bind it with ``class TestXDestination(DestinationConformance): harness = XDestinationHarness``.
Every check gets a started harness (``rig``) of its own.  Needs pytest with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import ClassVar, Final, TypeVar

import pytest

from engine.contract import (
    Capabilities,
    ChannelName,
    Delivered,
    DeliveryError,
    Destination,
    EngineError,
    Message,
    MessageId,
    NotConnected,
    Outbound,
    RejectedError,
    RetryableError,
    Stage,
    UncertainError,
)
from engine.testing.harness import (
    RETRY_AFTER,
    DestinationHarness,
    DestinationHarnessType,
    Reply,
    unbound,
)
from engine.testing.promises import Footprint, LogWatch, promise
from engine.testing.services import MemoryServices

GRACE: Final = timedelta(milliseconds=200)
MIB: Final = 1024 * 1024
ErrorT = TypeVar("ErrorT", bound=EngineError)


def outbound(rig: DestinationHarness, content: bytes) -> Outbound:
    """A first attempt with a payload of the harness that holds ``content``."""
    payload = rig.payload(content)
    id = MessageId("00000000-0000-7000-8000-000000000001")
    return Outbound(Message(id, ChannelName("origin"), payload, datetime.now(UTC)), payload)


async def closed(destination: Destination) -> None:
    """Close it.  Raises AssertionError when it outlasts its grace by far."""
    try:
        async with asyncio.timeout(GRACE.total_seconds() + 2):
            await destination.close(GRACE)
    except TimeoutError:
        raise AssertionError("close does not return within its grace") from None


@asynccontextmanager
async def opened(
    rig: DestinationHarness, services: MemoryServices | None = None
) -> AsyncIterator[Destination]:
    """A new destination of the harness, opened; closed at the end."""
    destination = rig.create(services or services_for(rig))
    await destination.open()
    try:
        yield destination
    finally:
        await closed(destination)


def services_for(rig: DestinationHarness) -> MemoryServices:
    """New services with the harness's TLS."""
    return MemoryServices(tls=rig.tls)


async def deliver(destination: Destination, out: Outbound) -> Delivered:
    """Send as the engine does: NotConnected means close, open again, and send once more."""
    try:
        return await destination.send(out)
    except NotConnected:
        await closed(destination)
        await destination.open()
        return await destination.send(out)


class DestinationConformance:
    """Numbers may be lowered by a binding that has a reason (a slow device), never raised away."""

    harness: ClassVar[DestinationHarnessType] = unbound
    largest: ClassVar[int] = 10 * MIB  # D2
    load: ClassVar[int] = 300  # D14, sends
    quiet: ClassVar[float] = 0.15  # seconds in which something forbidden would have happened
    patience: ClassVar[float] = 5.0  # seconds to wait for what must happen

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[DestinationHarness]:
        rig = type(self).harness(tmp_path)
        await rig.start()
        yield rig
        await rig.stop()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Return when the condition holds.  Raises AssertionError saying ``what`` never came."""
        end = asyncio.get_running_loop().time() + self.patience
        while not condition():
            assert asyncio.get_running_loop().time() < end, f"never came: {what}"
            await asyncio.sleep(0.002)

    async def refused(
        self, rig: DestinationHarness, kind: type[ErrorT], sending: Awaitable[object]
    ) -> ErrorT:
        """Await it, and return the error.  Raises AssertionError unless it is of exactly this
        kind, with a documented code."""
        try:
            async with asyncio.timeout(2 * self.patience):
                await sending
        except kind as caught:
            error = caught
        except TimeoutError:
            raise AssertionError("send waits for ever") from None
        except EngineError as other:
            raise AssertionError(f"{type(other).__name__} instead of {kind.__name__}") from other
        else:
            raise AssertionError(f"taken for delivered instead of {kind.__name__}")
        codes = {row.code for row in rig.spec.errors}
        assert error.info.code in codes, f"code {error.info.code} is not in the spec's errors"
        stages = {Stage.SENDING} | ({Stage.STARTING} if kind is NotConnected else set())
        assert error.info.stage in stages, f"stage is {error.info.stage}"
        return error

    @promise("D1", "open and close in any order, any number of times; nothing is left behind")
    async def test_d01_life_cycle(self, rig: DestinationHarness) -> None:
        destination = rig.create(services_for(rig))
        await closed(destination)  # never opened
        await destination.open()
        await closed(destination)  # never sent
        before = Footprint.now()  # what a loop or a library opens once is open now
        for round in range(2):
            await destination.open()
            await destination.send(outbound(rig, b"round %d" % round))
            await closed(destination)
            await closed(destination)
        await self.until(lambda: rig.peer.connections == 0, "every connection closed")
        await before.restored(within=self.patience)

    @promise("D2", "bytes arrive unchanged, of any value and size")
    async def test_d02_bytes_unchanged(self, rig: DestinationHarness) -> None:
        contents = [bytes(range(256)), b"x", b"y" * 65535, b"z" * 65536, b"w" * 65537]
        contents.append(bytes(range(97, 123)) * (self.largest // 26))
        if "empty" not in rig.lacks:
            contents.append(b"")
        async with opened(rig) as destination:
            for content in contents:
                out = outbound(rig, content)
                async with asyncio.timeout(4 * self.patience):
                    await destination.send(out)
                same = rig.peer.received[-1].body == out.payload.body
                assert same, f"{len(out.payload.body)} bytes arrived changed"
        assert len(rig.peer.received) == len(contents), "something arrived that was not sent"

    @promise("D3", "success only after the peer's positive reply", needs=("answers",))
    async def test_d03_success_after_reply(self, rig: DestinationHarness) -> None:
        rig.peer.script(Reply.HOLD)
        async with opened(rig) as destination:
            send = asyncio.create_task(destination.send(outbound(rig, b"held")))
            await self.until(lambda: len(rig.peer.received) == 1, "the request at the peer")
            await asyncio.sleep(self.quiet / 3)
            assert not send.done(), "send returned before the peer replied"
            rig.peer.release()
            delivered = await send
            assert isinstance(delivered, Delivered), "send did not return Delivered"

    @promise("D4", "a permanent refusal is RejectedError with the peer's code", needs=("answers",))
    async def test_d04_permanent_refusal(self, rig: DestinationHarness) -> None:
        rig.peer.script(Reply.NEVER)
        async with opened(rig) as destination:
            error = await self.refused(
                rig, RejectedError, destination.send(outbound(rig, b"never"))
            )
            code = error.info.peer_code
            assert code == rig.refusal, f"the peer's code is {rig.refusal}, not {code}"
            await deliver(destination, outbound(rig, b"next"))
        assert len(rig.peer.received) == 2, "a refused message was sent again"

    @promise("D5", "a temporary refusal is RetryableError", needs=("answers",))
    async def test_d05_temporary_refusal(self, rig: DestinationHarness) -> None:
        rig.peer.script(Reply.LATER)
        async with opened(rig) as destination:
            error = await self.refused(
                rig, RetryableError, destination.send(outbound(rig, b"later"))
            )
            if "retry_after" not in rig.lacks:
                wait = timedelta(seconds=RETRY_AFTER)
                assert error.after == wait, f"the peer asked for {wait}, not {error.after}"
            await deliver(destination, outbound(rig, b"next"))
        assert len(rig.peer.received) == 2, "a refused message was sent again inside of send"

    @promise("D6", "nobody is there: NotConnected, and nothing was sent")
    async def test_d06_nobody_there(self, rig: DestinationHarness) -> None:
        await rig.peer.vanish()
        destination = rig.create(services_for(rig))

        async def open_and_send() -> None:
            await destination.open()
            await destination.send(outbound(rig, b"to nobody"))

        await self.refused(rig, NotConnected, open_and_send())
        await closed(destination)
        await rig.peer.listen()
        await destination.open()
        await destination.send(outbound(rig, b"to somebody"))
        await closed(destination)
        assert len(rig.peer.received) == 1, "something was sent to nobody"

    @promise(
        "D7", "the peer dies after the request: UncertainError, one copy sent", needs=("answers",)
    )
    async def test_d07_peer_dies(self, rig: DestinationHarness) -> None:
        rig.peer.script(Reply.DIE)
        async with opened(rig) as destination:
            await self.refused(rig, UncertainError, destination.send(outbound(rig, b"once")))
            await asyncio.sleep(self.quiet)
            copies = len(rig.peer.received)
            assert copies == 1, f"{copies} copies were sent"
            await deliver(destination, outbound(rig, b"next"))
        assert len(rig.peer.received) == 2, "the lost message was sent again"

    @promise(
        "D8",
        "the reply times out: UncertainError, and its connection is not used again",
        needs=("answers",),
    )
    async def test_d08_reply_times_out(self, rig: DestinationHarness) -> None:
        rig.peer.script(Reply.HOLD)
        async with opened(rig) as destination:
            await self.refused(rig, UncertainError, destination.send(outbound(rig, b"slow")))
            rig.peer.release()
            await deliver(destination, outbound(rig, b"next"))
        assert len(rig.peer.received) == 2, "the slow message was sent again"
        if "connections" not in rig.lacks:
            first, second = rig.peer.received
            assert first.connection != second.connection, "the connection was used again"

    @promise("D9", "a reply to something else is not taken for this message's", needs=("answers",))
    async def test_d09_late_reply(self, rig: DestinationHarness) -> None:
        for late in ("before the next request", "after the next request"):
            rig.peer.script(Reply.HOLD, Reply.NEVER)
            start = len(rig.peer.received)
            async with opened(rig) as destination:
                await self.refused(
                    rig, UncertainError, destination.send(outbound(rig, b"slow " + late.encode()))
                )
                if late.startswith("before"):
                    rig.peer.release()
                    await asyncio.sleep(self.quiet / 3)  # let a wrong connector read it
                send = asyncio.create_task(deliver(destination, outbound(rig, b"next")))
                await asyncio.sleep(self.quiet / 3)
                rig.peer.release()
                (result,) = await asyncio.gather(send, return_exceptions=True)
                right = isinstance(result, RejectedError)
                assert right, f"a reply that came late, {late}, gave {type(result).__name__}"
            assert len(rig.peer.received) == start + 2, "a message was sent twice"
        odd = [Reply.GARBLED] + ([] if "correlates" in rig.lacks else [Reply.FOREIGN])
        for reply in odd:
            rig.peer.script(reply)
            async with opened(rig) as destination:
                await self.refused(
                    rig, UncertainError, destination.send(outbound(rig, reply.value.encode()))
                )
                await deliver(destination, outbound(rig, b"after " + reply.value.encode()))

    @promise("D10", "cancelled during send: no half-used connection stays", needs=("answers",))
    async def test_d10_cancel(self, rig: DestinationHarness) -> None:
        rig.peer.script(Reply.HOLD, Reply.NEVER)
        async with opened(rig) as destination:
            send = asyncio.create_task(destination.send(outbound(rig, b"cancelled")))
            await self.until(lambda: len(rig.peer.received) == 1, "the request at the peer")
            held = rig.peer.connections
            send.cancel()
            (result,) = await asyncio.gather(send, return_exceptions=True)
            right = isinstance(result, asyncio.CancelledError)
            assert right, f"cancelled, send ended with {type(result).__name__}"
            if "connections" not in rig.lacks:
                await self.until(lambda: rig.peer.connections < held, "the used connection closed")
            rig.peer.release()
            sending = deliver(destination, outbound(rig, b"next"))
            await self.refused(rig, RejectedError, sending)
        assert len(rig.peer.received) == 2, "the cancelled message was sent again"

    @promise("D11", "never more than max_in_flight; in order if `ordered`")
    async def test_d11_in_flight(self, rig: DestinationHarness) -> None:
        claims = rig.spec.destination.capabilities if rig.spec.destination else Capabilities()
        count = claims.max_in_flight + 3
        outs = [outbound(rig, b"number %d" % number) for number in range(count)]
        async with opened(rig) as destination:
            await asyncio.gather(*(destination.send(out) for out in outs))
        peak = rig.peer.peak
        assert peak <= claims.max_in_flight, f"{peak} at once, {claims.max_in_flight} declared"
        bodies = [received.body for received in rig.peer.received]
        sent = [out.payload.body for out in outs]
        assert sorted(bodies) == sorted(sent), "not every message arrived once"
        if claims.ordered:
            assert bodies == sent, "declares `ordered`, but the order changed"

    @promise("D12", "the peer was restarted: the next send works, and nothing is sent twice")
    async def test_d12_peer_restarts(self, rig: DestinationHarness) -> None:
        async with opened(rig) as destination:
            await destination.send(outbound(rig, b"before"))
            await rig.peer.vanish()
            sending = destination.send(outbound(rig, b"nobody is there"))
            await self.refused(rig, NotConnected, sending)
            await rig.peer.listen()
            await deliver(destination, outbound(rig, b"after"))
        assert len(rig.peer.received) == 2, "a message was lost or sent twice"

    @promise("D13", "no content and no secret in a log line at INFO or above, nor in an error")
    async def test_d13_logs(self, rig: DestinationHarness) -> None:
        marker = "Zzyzxmarker"
        services = services_for(rig)
        errors: list[str] = []
        replies = [Reply.YES]
        if "answers" not in rig.lacks:
            replies += [Reply.NEVER, Reply.LATER, Reply.DIE, Reply.HOLD, Reply.GARBLED]
        with LogWatch() as watch:
            async with opened(rig, services) as destination:
                for reply in replies:
                    rig.peer.script(reply)
                    try:
                        async with asyncio.timeout(2 * self.patience):
                            await deliver(destination, outbound(rig, marker.encode()))
                    except DeliveryError as error:
                        errors.append(f"{error} {error.info!r}")
                await rig.peer.vanish()
                try:
                    async with asyncio.timeout(2 * self.patience):
                        await destination.send(outbound(rig, marker.encode()))
                except NotConnected as error:
                    errors.append(f"{error} {error.info!r}")
        watch.assert_free_of(services, marker, *rig.secrets)
        for text in errors:
            assert marker not in text, "an error gives away content"

    @promise("D14", "works on under load; the throughput is printed")
    async def test_d14_throughput(self, rig: DestinationHarness) -> None:
        claims = rig.spec.destination.capabilities if rig.spec.destination else Capabilities()
        lanes = claims.max_in_flight
        each = max(1, self.load // lanes)
        async with opened(rig) as destination:

            async def lane(name: int) -> None:
                for number in range(each):
                    await destination.send(outbound(rig, b"lane %d number %d" % (name, number)))

            start = perf_counter()
            async with asyncio.TaskGroup() as group:
                for name in range(lanes):
                    group.create_task(lane(name))
            rate = each * lanes / (perf_counter() - start)
        assert len(rig.peer.received) == each * lanes, "not every message arrived once"
        print(f"{rig.spec.name} destination: {rate:.0f} messages a second, {lanes} at once")
