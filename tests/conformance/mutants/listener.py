"""A small sound MLLP listener over streams, and the ways to get it wrong.

It shares no code with the connector we ship, so that the suites are tried on another make.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connectors.mllp import SPEC
from engine.contract import Accept, Inbound, Outcome, Payload, Receipt, Services, Source
from tests.conformance.mllp import MllpSourceHarness

_CODES = {Outcome.REJECTED: b"AR", Outcome.UNAVAILABLE: b"AE"}
_PIECE = 65536


class Listener:
    """Sound: one handler a connection, one message after the other."""

    end = b"\x1c\r"

    def __init__(self, port: int, services: Services) -> None:
        self.port = port
        self.services = services
        self.server: asyncio.Server | None = None
        self.handlers: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self.server = None

    async def close(self, grace: timedelta) -> None:
        self.handlers.clear()

    async def run(self, accept: Accept) -> None:
        self.server = await asyncio.start_server(
            lambda reader, writer: self.handle(accept, reader, writer),
            "127.0.0.1",
            self.port,
            limit=_PIECE,
        )
        try:
            await self.running()
        finally:
            self.server.close()
            for handler in self.handlers:
                handler.cancel()
            await asyncio.gather(*self.handlers, return_exceptions=True)

    async def running(self) -> None:
        await asyncio.Event().wait()

    async def handle(
        self, accept: Accept, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self.handlers.add(handler)
        try:
            with contextlib.suppress(ConnectionError):
                await self.serve(accept, reader, writer)
        except asyncio.CancelledError:
            self.interrupted(writer)
        finally:
            self.handlers.discard(handler)
            await self.hang_up(writer)

    async def hang_up(self, writer: asyncio.StreamWriter) -> None:
        writer.close()

    def say(self, writer: asyncio.StreamWriter, words: bytes) -> None:
        if not writer.is_closing():
            writer.write(words)

    def interrupted(self, writer: asyncio.StreamWriter) -> None:
        """The source is stopped: nothing positive may be said."""

    async def serve(
        self, accept: Accept, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        buffer = bytearray()
        while (message := await self.message(reader, buffer)) is not None:
            if len(message) > self.services.limits.message:
                self.say(writer, self.answer(message, Receipt(Outcome.REJECTED)))
                continue
            await self.exchange(accept, message, writer)

    async def exchange(self, accept: Accept, message: bytes, writer: asyncio.StreamWriter) -> None:
        receipt = await accept(self.inbound(message))
        self.say(writer, self.answer(message, receipt))

    def inbound(self, message: bytes) -> Inbound:
        return Inbound(Payload(message), self.services.now(), "peer")

    def answer(self, message: bytes, receipt: Receipt) -> bytes:
        code = _CODES.get(receipt.outcome, b"AA")
        return b"\x0bMSH|^~\\&|\rMSA|" + code + b"|1\r\x1c\r"

    async def message(self, reader: asyncio.StreamReader, buffer: bytearray) -> bytes | None:
        """The next message; of one above the limit only so much that it is seen to be above."""
        searched = 0
        while (at := buffer.find(self.end, searched)) < 0:
            self.bound(buffer)
            searched = max(0, len(buffer) - 1)
            piece = await reader.read(_PIECE)
            if not piece:
                return None
            buffer += piece
        message = bytes(buffer[:at])
        self.consume(buffer, at + len(self.end))
        start = message.find(b"\x0b")
        return message[start + 1 :] if start >= 0 else await self.message(reader, buffer)

    def bound(self, buffer: bytearray) -> None:
        keep = self.services.limits.message + 1024
        if len(buffer) > keep + 1:
            del buffer[keep:-1]

    def consume(self, buffer: bytearray, count: int) -> None:
        del buffer[:count]


class AnswersFirst(Listener):
    """Says yes, then asks whether it is so."""

    async def exchange(self, accept: Accept, message: bytes, writer: asyncio.StreamWriter) -> None:
        self.say(writer, self.answer(message, Receipt(Outcome.ACCEPTED)))
        await accept(self.inbound(message))


class AnswersWhileStopping(Listener):
    """Says yes to be polite when it is stopped."""

    def interrupted(self, writer: asyncio.StreamWriter) -> None:
        self.say(writer, self.answer(b"", Receipt(Outcome.ACCEPTED)))


class OneNegative(Listener):
    """Knows only "send it again"."""

    def answer(self, message: bytes, receipt: Receipt) -> bytes:
        if receipt.outcome is Outcome.REJECTED:
            receipt = Receipt(Outcome.UNAVAILABLE)
        return super().answer(message, receipt)


class Strips(Listener):
    """Takes blanks around a message for noise."""

    def inbound(self, message: bytes) -> Inbound:
        return super().inbound(message.replace(b"\xff", b"?"))


class SplitsAtFs(Listener):
    """Takes every 0x1C for the end of the frame."""

    end = b"\x1c"


class FirstOfRead(Listener):
    """Drops whatever came behind the first message of one read."""

    def consume(self, buffer: bytearray, count: int) -> None:
        buffer.clear()


class OneForAll(Listener):
    """Serves all peers through one lock."""

    def __init__(self, port: int, services: Services) -> None:
        super().__init__(port, services)
        self.lock = asyncio.Lock()

    async def exchange(self, accept: Accept, message: bytes, writer: asyncio.StreamWriter) -> None:
        async with self.lock:
            await super().exchange(accept, message, writer)


class TaskForEach(Listener):
    """Reads on while a message waits, each in a task of its own: no back-pressure, no order."""

    def __init__(self, port: int, services: Services) -> None:
        super().__init__(port, services)
        self.exchanges: set[asyncio.Task[None]] = set()
        self.turn = 0

    async def exchange(self, accept: Accept, message: bytes, writer: asyncio.StreamWriter) -> None:
        self.turn += 1
        task = asyncio.create_task(self.later(accept, message, writer, self.turn % 2))
        self.exchanges.add(task)
        task.add_done_callback(self.exchanges.discard)

    async def later(
        self, accept: Accept, message: bytes, writer: asyncio.StreamWriter, wait: int
    ) -> None:
        await asyncio.sleep(wait * 0.002)
        await super().exchange(accept, message, writer)

    async def close(self, grace: timedelta) -> None:
        for task in self.exchanges:
            task.cancel()
        await super().close(grace)


class LeavesWithPeer(Listener):
    """Gives up a message when its sender has gone."""

    async def exchange(self, accept: Accept, message: bytes, writer: asyncio.StreamWriter) -> None:
        work = asyncio.ensure_future(super().exchange(accept, message, writer))
        transport: Any = writer.transport
        while not work.done():
            await asyncio.wait([work], timeout=0.01)
            if transport.is_closing():
                work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


class DiesOfMalformed(Listener):
    """Ends altogether when one peer talks nonsense."""

    def __init__(self, port: int, services: Services) -> None:
        super().__init__(port, services)
        self.nonsense = asyncio.Event()

    async def message(self, reader: asyncio.StreamReader, buffer: bytearray) -> bytes | None:
        message = None
        with contextlib.suppress(ConnectionError):
            message = await super().message(reader, buffer)
        if message is None and buffer:
            self.nonsense.set()
        return message

    async def running(self) -> None:
        await self.nonsense.wait()
        raise ValueError("nonsense")


class KeepsSilentOnes(Listener):
    """Never lets go of a connection that said nothing."""

    kept: list[asyncio.StreamWriter]

    async def handle(
        self, accept: Accept, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        first = b""
        with contextlib.suppress(ConnectionError):
            first = await reader.read(1)
        if not first:
            await asyncio.Event().wait()
        reader._buffer[:0] = first  # type: ignore[attr-defined]
        await super().handle(accept, reader, writer)

    async def close(self, grace: timedelta) -> None:
        for task in asyncio.all_tasks():
            if "KeepsSilentOnes.handle" in repr(task):
                task.cancel()
        await super().close(grace)


class BuffersOversize(Listener):
    """Looks at the size when it has everything."""

    def bound(self, buffer: bytearray) -> None:
        pass


class LogsBody(Listener):
    """Helpful logs."""

    def inbound(self, message: bytes) -> Inbound:
        self.services.log.info("received", message=message)
        return super().inbound(message)


class LeaksTask(Listener):
    """Starts a watchdog and forgets it."""

    watchdogs: list[asyncio.Task[None]]

    async def open(self) -> None:
        await super().open()
        self.watchdogs = getattr(self, "watchdogs", [])
        self.watchdogs.append(asyncio.create_task(super().running()))


class SaysItRedelivers(Listener):
    """Sound, but its spec promises what nobody does."""


def listener_harness(mutant: type[Listener]) -> type[MllpSourceHarness]:
    """A harness whose source is this one."""

    class Harness(MllpSourceHarness):
        def create(self, services: Services) -> Source:
            return mutant(self.port, services)

        async def stop(self) -> None:
            await super().stop()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()  # of a wrong connector nothing may reach the next one
            await asyncio.sleep(0)

    if mutant is SaysItRedelivers:
        assert SPEC.source is not None
        claims = replace(SPEC.source.capabilities, redelivers=True)
        Harness.spec = replace(SPEC, source=replace(SPEC.source, capabilities=claims))
    return Harness


LISTENERS: Mapping[type[Listener], frozenset[str]] = {
    Listener: frozenset(),
    AnswersFirst: frozenset({"S4", "S5", "S7"}),
    AnswersWhileStopping: frozenset({"S7"}),
    OneNegative: frozenset({"S5"}),
    Strips: frozenset({"S2"}),
    SplitsAtFs: frozenset({"S2", "S3"}),
    FirstOfRead: frozenset({"S3", "S14"}),
    OneForAll: frozenset({"S6"}),
    TaskForEach: frozenset({"S3", "S6", "S14"}),
    LeavesWithPeer: frozenset({"S8"}),
    DiesOfMalformed: frozenset({"S9", "S13"}),
    KeepsSilentOnes: frozenset({"S10"}),
    BuffersOversize: frozenset({"S11"}),
    SaysItRedelivers: frozenset({"S12"}),
    LogsBody: frozenset({"S13"}),
    LeaksTask: frozenset({"S1", "S7"}),
}
"""Each listener and exactly the promises it breaks."""
