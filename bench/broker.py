"""How fast RabbitMQ carries envelopes: ``python -m bench.broker`` prints one table.

One node on this machine, quorum queues, every publish confirmed (so it was written and synced),
every envelope settled by itself; engine side and node share the cores.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import uvloop

from engine.broker.rabbitmq.address import read_address
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.contract import DeliveryId, Envelope, MessageId, QueueSpec
from tests.servers.rabbitmq import rabbit_nodes

SECONDS = 4.0
LANES = tuple(QueueSpec(f"lane/{number}", capacity=10**6) for number in range(8))
FREE = QueueSpec("free", ordered=False, capacity=10**6)


def envelope(number: int) -> Envelope:
    message = MessageId(f"019a{number:08x}-0000-7000-8000-000000000000")
    return Envelope(DeliveryId(number), message, "adt-to-fhir", "emr")


async def publishing(broker: RabbitBroker, queue: str, together: int, tasks: int) -> float:
    """Confirmed envelopes a second."""
    until = time.monotonic() + SECONDS
    done = 0

    async def one() -> None:
        nonlocal done
        while time.monotonic() < until:
            await broker.publish(queue, [envelope(done + n) for n in range(together)])
            done += together

    await asyncio.gather(*(one() for _ in range(tasks)))
    return done / SECONDS


async def consuming(broker: RabbitBroker, spec: QueueSpec, prefetch: int) -> float:
    """Envelopes taken and settled a second, of those that wait."""
    waiting = (await broker.stats(spec.name)).ready
    count = min(waiting, 40_000)
    async with broker.consume(spec.name, prefetch=prefetch) as leases:
        await (await anext(leases)).ack()
        began = time.monotonic()
        for _ in range(count - 1):
            await (await anext(leases)).ack()
        return (count - 1) / (time.monotonic() - began)


async def passing(broker: RabbitBroker) -> float:
    """Published in tens to eight ordered lanes and taken from them at the same time."""
    until = time.monotonic() + SECONDS
    taken = 0

    async def publish(queue: str) -> None:
        number = 0
        while time.monotonic() < until:
            await broker.publish(queue, [envelope(number + n) for n in range(10)])
            number += 10

    async def take(queue: str) -> None:
        nonlocal taken
        async with broker.consume(queue, prefetch=32) as leases:
            async for lease in leases:
                await lease.ack()
                taken += 1

    takers = [asyncio.create_task(take(lane.name)) for lane in LANES]
    await asyncio.gather(*(publish(lane.name) for lane in LANES))
    for taker in takers:
        taker.cancel()
    await asyncio.gather(*takers, return_exceptions=True)
    return taken / SECONDS


async def measured(name: str, run: Callable[[], Awaitable[float]]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    rate = await run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    share = used / (time.monotonic() - began)
    print(f"{name:<58} {rate:>9,.0f} /s   engine side {share:>4.0%} of a core")


async def main() -> None:
    with rabbit_nodes(1) as (node,):
        broker = RabbitBroker(read_address(node.url))
        await broker.open()
        await broker.declare([*LANES, FREE])
        one, free = LANES[0], FREE
        await measured("published one by one", lambda: publishing(broker, one.name, 1, 1))
        await measured("taken in order", lambda: consuming(broker, one, 32))
        await measured("published, 50 callers", lambda: publishing(broker, free.name, 1, 50))
        await measured("published in hundreds", lambda: publishing(broker, free.name, 100, 4))
        await measured("taken without order", lambda: consuming(broker, free, 64))
        await measured("published and taken, 8 ordered lanes", lambda: passing(broker))
        await broker.close(timedelta(seconds=5))


if __name__ == "__main__":
    uvloop.run(main())
