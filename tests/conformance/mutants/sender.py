"""A small sound MLLP sender over streams, and the ways to get it wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.contract import (
    Delivered,
    Destination,
    EngineError,
    ErrorInfo,
    NotConnected,
    Outbound,
    RejectedError,
    RetryableError,
    Services,
    Stage,
    UncertainError,
)
from tests.conformance.mllp import MllpDestinationHarness

_TIMEOUT = 0.1


def info(code: str, peer_code: str | None = None) -> ErrorInfo:
    """An error of the connector we ship, whose spec the mutants wear."""
    return ErrorInfo(code, "as the suite wanted it", Stage.SENDING, peer_code=peer_code)


class Sender:
    """Sound: one connection, one message at a time, dropped after anything odd."""

    def __init__(self, port: int, services: Services) -> None:
        self.port = port
        self.services = services
        self.lock: Any = asyncio.Lock()
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        try:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as cause:
            raise NotConnected(info("MLLP-CONNECT")) from cause

    async def close(self, grace: timedelta) -> None:
        self.drop()

    def drop(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def send(self, outbound: Outbound) -> Delivered:
        async with self.lock:
            await asyncio.sleep(0)
            if self.reader is None or self.reader.at_eof() or self.reader.exception():
                return self.not_connected()
            try:
                return await self.exchange(outbound.payload.body)
            except UncertainError:
                return await self.uncertain(outbound)
            except asyncio.CancelledError:
                self.cancelled()
                raise

    def not_connected(self) -> Delivered:
        raise NotConnected(info("MLLP-LOST"))

    async def uncertain(self, outbound: Outbound) -> Delivered:
        self.drop()
        raise UncertainError(info("MLLP-NO-REPLY"))

    def cancelled(self) -> None:
        self.drop()

    async def exchange(self, body: bytes) -> Delivered:
        assert self.reader is not None
        assert self.writer is not None
        try:
            async with asyncio.timeout(_TIMEOUT):
                self.writer.write(self.wire(body))
                reply = await self.reader.readuntil(b"\x1c\r")
        except (TimeoutError, OSError, EOFError) as cause:
            raise UncertainError(info("MLLP-NO-REPLY")) from cause
        fields = reply.partition(b"MSA|")[2].split(b"\r")[0].split(b"|")
        if len(fields) < 2 or not self.is_ours(fields[1], body):
            raise UncertainError(info("MLLP-BAD-REPLY"))
        return self.verdict(fields[0].decode())

    def wire(self, body: bytes) -> bytes:
        return b"\x0b" + body + b"\x1c\r"

    def is_ours(self, control_id: bytes, body: bytes) -> bool:
        return control_id == body.split(b"\r")[0].split(b"|")[9]

    def verdict(self, code: str) -> Delivered:
        if code == "AR":
            raise RejectedError(info("MLLP-REJECTED", code))
        if code == "AE":
            raise RetryableError(info("MLLP-NAK", code))
        return Delivered()


class KeepsItsLine(Sender):
    """Waits no longer after a time-out but keeps the connection, and never looks at MSA-2."""

    async def uncertain(self, outbound: Outbound) -> Delivered:
        raise UncertainError(info("MLLP-NO-REPLY"))

    def is_ours(self, control_id: bytes, body: bytes) -> bool:
        return True


class ReusesItsLine(Sender):
    """Looks at MSA-2, but keeps the connection after a time-out."""

    async def uncertain(self, outbound: Outbound) -> Delivered:
        raise UncertainError(info("MLLP-NO-REPLY"))


class TakesAnyReply(Sender):
    """Never looks at MSA-2."""

    def is_ours(self, control_id: bytes, body: bytes) -> bool:
        return True


class SendsAgain(Sender):
    """After a lost reply connects and sends once more, by itself."""

    async def uncertain(self, outbound: Outbound) -> Delivered:
        self.drop()
        await self.open()
        try:
            return await self.exchange(outbound.payload.body)
        except UncertainError:
            self.drop()
            raise


class SwallowsNotConnected(Sender):
    """Takes a message that nobody can get for delivered."""

    async def open(self) -> None:
        with contextlib.suppress(NotConnected):
            await super().open()

    def not_connected(self) -> Delivered:
        return Delivered()


class ReconnectsToSend(Sender):
    """Finds the connection gone, and waits inside of send until there is one again."""

    async def send(self, outbound: Outbound) -> Delivered:
        while True:
            try:
                return await super().send(outbound)
            except NotConnected:
                await asyncio.sleep(0.01)
                with contextlib.suppress(EngineError):
                    await self.open()


class SaysDoneWhenWritten(Sender):
    """Does not wait for the reply."""

    async def exchange(self, body: bytes) -> Delivered:
        assert self.writer is not None
        self.writer.write(self.wire(body))
        await asyncio.sleep(0.002)
        return Delivered()


class NeverGivesUp(Sender):
    """Takes "never" for "not now"."""

    def verdict(self, code: str) -> Delivered:
        return super().verdict(code.replace("AR", "AE"))


class GivesUpAtOnce(Sender):
    """Takes "not now" for "never"."""

    def verdict(self, code: str) -> Delivered:
        return super().verdict(code.replace("AE", "AR"))


class LosesTheCode(Sender):
    """Forgets what the peer's code was."""

    def verdict(self, code: str) -> Delivered:
        try:
            return super().verdict(code)
        except RejectedError:
            raise RejectedError(info("MLLP-REJECTED")) from None


class KeepsLineWhenCancelled(Sender):
    """Leaves a reply on the way to whoever sends next."""

    def cancelled(self) -> None:
        pass


class SwallowsCancel(Sender):
    """Makes a cancellation an error of its own."""

    def cancelled(self) -> None:
        self.drop()
        raise UncertainError(info("MLLP-NO-REPLY"))


class Crowds(Sender):
    """Opens a connection for each message in flight, as many as there are."""

    async def send(self, outbound: Outbound) -> Delivered:
        one = Sender(self.port, self.services)
        await one.open()
        try:
            return await one.send(outbound)
        finally:
            one.drop()


class Overtakes(Sender):
    """One at a time, the last one first."""

    def __init__(self, port: int, services: Services) -> None:
        super().__init__(port, services)
        self.waiting: list[asyncio.Future[None]] = []
        self.busy = False

    async def send(self, outbound: Outbound) -> Delivered:
        if self.busy:
            turn = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn
        self.busy = True
        try:
            return await super().send(outbound)
        finally:
            self.busy = False
            if self.waiting:
                self.waiting.pop().set_result(None)


class Truncates(Sender):
    """Cleans what it sends."""

    def wire(self, body: bytes) -> bytes:
        return super().wire(body.replace(b"\x00", b""))


class TellsAll(Sender):
    """Helpful logs."""

    async def exchange(self, body: bytes) -> Delivered:
        self.services.log.warning("sending", body=body)
        return await super().exchange(body)


class TellsInErrors(Sender):
    """Helpful errors."""

    async def exchange(self, body: bytes) -> Delivered:
        try:
            return await super().exchange(body)
        except RejectedError as error:
            told = ErrorInfo(error.info.code, str(body), Stage.SENDING, peer_code="AR")
            raise RejectedError(told) from None


class LeavesItsLine(Sender):
    """Forgets the connection at close."""

    lines: list[Any] = []  # noqa: RUF012  so that none is collected, which would close it

    async def close(self, grace: timedelta) -> None:
        if self.writer is not None:
            self.lines.append(self.writer)
        self.reader = self.writer = None


class NeverReopens(Sender):
    """Connects once in its life."""

    opened = False

    async def open(self) -> None:
        if not self.opened:
            await super().open()
            self.opened = True


class SkipsSome(Sender):
    """Every hundredth message is delivered without being sent."""

    count = 0

    async def exchange(self, body: bytes) -> Delivered:
        self.count += 1
        return Delivered() if self.count == 100 else await super().exchange(body)


def sender_harness(mutant: type[Sender]) -> type[MllpDestinationHarness]:
    """A harness whose destination is this one."""

    class Harness(MllpDestinationHarness):
        def create(self, services: Services) -> Destination:
            return mutant(self.peer.port, services)

        async def stop(self) -> None:
            while LeavesItsLine.lines:
                writer = LeavesItsLine.lines.pop()
                writer.transport.abort()
            await super().stop()

    return Harness


SENDERS: Mapping[type[Sender], frozenset[str]] = {
    Sender: frozenset(),
    LeavesItsLine: frozenset({"D1"}),
    Truncates: frozenset({"D2"}),
    SaysDoneWhenWritten: frozenset({"D3", "D4", "D5", "D7", "D8", "D9", "D10", "D12"}),
    NeverGivesUp: frozenset({"D4", "D9", "D10"}),
    LosesTheCode: frozenset({"D4"}),
    GivesUpAtOnce: frozenset({"D5"}),
    SwallowsNotConnected: frozenset({"D6", "D7", "D8", "D9", "D10", "D12"}),
    ReconnectsToSend: frozenset({"D12", "D13"}),
    SendsAgain: frozenset({"D7", "D8", "D9"}),
    KeepsItsLine: frozenset({"D8", "D9"}),
    ReusesItsLine: frozenset({"D8", "D9"}),
    TakesAnyReply: frozenset({"D9"}),
    KeepsLineWhenCancelled: frozenset({"D10"}),
    SwallowsCancel: frozenset({"D10"}),
    Crowds: frozenset({"D11"}),
    Overtakes: frozenset({"D11"}),
    NeverReopens: frozenset({"D1", "D7", "D8", "D9", "D10", "D12", "D13"}),
    TellsAll: frozenset({"D13"}),
    TellsInErrors: frozenset({"D13"}),
    SkipsSome: frozenset({"D14"}),
}
"""Each sender and exactly the promises it breaks."""
