"""The promises of a broker, B1 to B14, for the embedded one and any over a network.

A harness makes brokers that share one place (the same server, the same process) and can do to that
place what a test cannot do from outside: restart it, refuse a publish, cut its connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import pytest

from engine.contract import (
    Broker,
    BrokerUnavailable,
    DeliveryId,
    Envelope,
    ErrorInfo,
    Lease,
    LeaseLost,
    MessageId,
    QueueSpec,
    QueueStats,
    Stage,
    Unroutable,
)
from engine.testing.promises import promise

GRACE = timedelta(seconds=2)
SOON = 2.0
"""Seconds within which everything that must happen happens."""
LATER = timedelta(milliseconds=120)
QUIET = 0.05
"""Seconds of silence taken as proof that nothing comes."""

ORDERED = QueueSpec("ordered", ordered=True, capacity=100)
FREE = QueueSpec("free", ordered=False, capacity=100)


@dataclass(frozen=True, slots=True)
class BrokerName:
    name: str


class BrokerHarness(Protocol):
    """``lacks`` names the traits (nacks, durable, network) that this broker has not, and why."""

    spec: BrokerName
    lacks: Mapping[str, str]

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def create(self) -> Broker:
        """A broker at the harness's place, not yet open."""

    async def restart(self) -> None:
        """Restart the server.  (trait ``durable``)"""

    async def refuse(self, queue: str) -> None:
        """From now on the server refuses publishes to this queue.  (trait ``nacks``)"""

    async def cut(self) -> None:
        """Break the open connections once.  (trait ``network``)"""


def envelope(number: int, **facts: Any) -> Envelope:
    return Envelope(DeliveryId(number), MessageId(f"message-{number}"), "route", "target", **facts)


async def taken(leases: AsyncIterator[Lease]) -> Lease:
    async with asyncio.timeout(SOON):
        return await anext(leases)


async def silent(leases: AsyncIterator[Lease]) -> bool:
    """Whether no lease comes for a while."""
    try:
        async with asyncio.timeout(QUIET):
            await anext(leases)
    except TimeoutError:
        return True
    return False


class BrokerConformance:
    """Bind with ``harness = MyBrokerHarness``."""

    harness: Callable[[Any], BrokerHarness]

    @pytest.fixture
    async def rig(self, tmp_path: Any) -> AsyncIterator[BrokerHarness]:
        rig = type(self).harness(tmp_path)
        await rig.start()
        yield rig
        await rig.stop()

    @staticmethod
    async def _open(rig: BrokerHarness) -> Broker:
        broker = rig.create()
        await broker.open()
        await broker.declare([ORDERED, FREE])
        return broker

    @staticmethod
    async def _shows(broker: Broker, expected: QueueStats) -> None:
        """A broker over a network counts what has reached it: its figures may be a moment late."""
        stats = None
        try:
            async with asyncio.timeout(SOON):
                while stats != expected:
                    stats = await broker.stats(FREE.name)
                    await asyncio.sleep(0)
        except TimeoutError:
            assert stats == expected, "the figures do not become true"

    @promise("B1", "an envelope for no queue raises Unroutable")
    async def test_b01_unroutable(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        with pytest.raises(Unroutable):
            await broker.publish("nobody", [envelope(1)])
        await broker.close(GRACE)

    @promise("B2", "a refused publish raises", needs=("nacks",))
    async def test_b02_refused(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await rig.refuse(ORDERED.name)
        with pytest.raises(BrokerUnavailable):
            await broker.publish(ORDERED.name, [envelope(1)])
        await broker.close(GRACE)

    @promise("B3", "a cancelled publish is not reported as done", needs=("network",))
    async def test_b03_cancelled(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        publishing = asyncio.create_task(broker.publish(ORDERED.name, [envelope(1)]))
        await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        await broker.close(GRACE)

    @promise("B4", "a lease is settled exactly once")
    async def test_b04_settled_once(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        error = ErrorInfo("TEST", "set aside", Stage.SENDING)
        settles: list[Callable[[Lease], Any]] = [
            lambda lease: lease.ack(),
            lambda lease: lease.retry(timedelta(hours=1)),
            lambda lease: lease.park(error),
        ]
        await broker.publish(FREE.name, [envelope(number) for number in range(9)])
        async with broker.consume(FREE.name, prefetch=10) as leases:
            for first in settles:
                for second in settles:
                    lease = await taken(leases)
                    await first(lease)
                    with pytest.raises(LeaseLost):
                        await second(lease)
        await broker.close(GRACE)

    @promise("B5", "what was confirmed survives a restart of the broker", needs=("durable",))
    async def test_b05_restart(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(ORDERED.name, [envelope(number) for number in range(20)])
        await rig.restart()
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            for number in range(20):
                lease = await taken(leases)
                assert lease.envelope.delivery == number
                await lease.ack()
        await broker.close(GRACE)

    @promise("B6", "an unsettled lease comes again, marked; a retry counts an attempt")
    async def test_b06_unsettled(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(ORDERED.name, [envelope(1)])
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            assert (await taken(leases)).envelope.attempt == 1
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            lease = await taken(leases)
            assert lease.envelope.redelivered
            await lease.retry(timedelta(0), possible_duplicate=True)
            again = await taken(leases)
            assert again.envelope.attempt == 2
            assert again.envelope.possible_duplicate
            await again.ack()
        await broker.close(GRACE)

    @promise("B7", "a consumer that is cancelled in mid-work loses nothing")
    async def test_b07_cancelled_consumer(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(ORDERED.name, [envelope(number) for number in range(3)])
        working = asyncio.Event()

        async def work() -> None:
            async with broker.consume(ORDERED.name, prefetch=2) as leases:
                await anext(leases)
                await anext(leases)
                working.set()
                await asyncio.Event().wait()

        worker = asyncio.create_task(work())
        await working.wait()
        worker.cancel()
        with pytest.raises(asyncio.CancelledError):
            await worker
        async with broker.consume(ORDERED.name, prefetch=5) as leases:
            seen = [(await taken(leases)).envelope.delivery for _ in range(3)]
        assert seen == [0, 1, 2]
        await broker.close(GRACE)

    @promise("B8", "a retry never comes early")
    async def test_b08_delay(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        for spec in (ORDERED, FREE):
            await broker.publish(spec.name, [envelope(1)])
            async with broker.consume(spec.name, prefetch=1) as leases:
                started = time.monotonic()
                await (await taken(leases)).retry(LATER)
                await (await taken(leases)).ack()
                assert time.monotonic() - started >= LATER.total_seconds()
        await broker.close(GRACE)

    @promise("B9", "a parked envelope does not come again and is counted")
    async def test_b09_parked(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(ORDERED.name, [envelope(1), envelope(2)])
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            await (await taken(leases)).park(ErrorInfo("TEST", "set aside", Stage.SENDING))
            lease = await taken(leases)
            assert lease.envelope.delivery == 2
            await lease.ack()
            assert await silent(leases)
        assert (await broker.stats(ORDERED.name)).parked == 1
        await broker.close(GRACE)

    @promise("B10", "prefetch bounds the unsettled leases")
    async def test_b10_prefetch(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(FREE.name, [envelope(number) for number in range(5)])
        async with broker.consume(FREE.name, prefetch=2) as leases:
            first, _second = await taken(leases), await taken(leases)
            assert await silent(leases)
            await first.ack()
            await taken(leases)
        await broker.close(GRACE)

    @promise("B11", "order is kept, also after a retry; where it has no meaning nothing is held up")
    async def test_b11_order(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        for spec in (ORDERED, FREE):
            await broker.publish(spec.name, [envelope(number) for number in range(4)])
        seen: dict[str, list[int]] = {}
        for spec in (ORDERED, FREE):
            order = seen[spec.name] = []
            async with broker.consume(spec.name, prefetch=1) as leases:
                await (await taken(leases)).retry(LATER)
                for _ in range(4):
                    lease = await taken(leases)
                    order.append(lease.envelope.delivery)
                    await lease.ack()
        assert seen == {"ordered": [0, 1, 2, 3], "free": [1, 2, 3, 0]}
        await broker.close(GRACE)

    @promise("B12", "after a cut a consumer works again, old leases are lost", needs=("network",))
    async def test_b12_cut(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(ORDERED.name, [envelope(1)])
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            old = await taken(leases)
            await rig.cut()
            new = await taken(leases)
            assert new.envelope.redelivered
            with pytest.raises(LeaseLost):
                await old.ack()
            await new.ack()
        await broker.close(GRACE)

    @promise("B13", "a full queue raises BrokerUnavailable and takes none or a prefix")
    async def test_b13_full(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(ORDERED.name, [envelope(number) for number in range(100)])
        with pytest.raises(BrokerUnavailable):
            await broker.publish(ORDERED.name, [envelope(100), envelope(101)])
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            for number in range(100):
                lease = await taken(leases)
                assert lease.envelope.delivery == number
                await lease.ack()
            await broker.publish(ORDERED.name, [envelope(102)])
            await (await taken(leases)).ack()
        await broker.close(GRACE)

    @promise("B14", "the figures are true, and declaring again keeps what is there")
    async def test_b14_stats(self, rig: BrokerHarness) -> None:
        broker = await self._open(rig)
        await broker.publish(FREE.name, [envelope(number) for number in range(6)])
        await broker.declare([FREE])
        async with broker.consume(FREE.name, prefetch=5) as leases:
            held = [await taken(leases) for _ in range(4)]
            await held[0].retry(timedelta(hours=1))
            await held[1].park(ErrorInfo("TEST", "set aside", Stage.SENDING))
            await held[2].ack()
            await self._shows(broker, QueueStats(ready=2, leased=1, delayed=1, parked=1))
        await self._shows(broker, QueueStats(ready=3, leased=0, delayed=1, parked=1))
        await broker.close(GRACE)

    @promise("B15", "closing is idempotent, works unopened, and ends consumers that wait")
    async def test_b15_close(self, rig: BrokerHarness) -> None:
        await rig.create().close(GRACE)
        broker = await self._open(rig)

        async def wait() -> None:
            async with broker.consume(ORDERED.name, prefetch=1) as leases:
                await anext(leases)

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        await broker.close(GRACE)
        await broker.close(GRACE)
        with pytest.raises(BrokerUnavailable):
            async with asyncio.timeout(SOON):
                await waiting
