"""Declaring, counting and purging, on a few channels of a connection of its own.

Every refusal of the broker ends a channel, a question that is not answered blocks it, and RabbitMQ
may end the whole connection for a queue that is ill.  Neither consumers nor the questions about
other queues suffer from that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from engine.broker.rabbitmq.link import (
    NOT_FOUND,
    PRECONDITION_FAILED,
    Channel,
    ChannelEnded,
    Link,
    unavailable,
)
from engine.broker.rabbitmq.topology import LanePlan, Queue, delay_plan

GONE_SECONDS = 1.0
CHANNELS = 4
"""So many questions are open at a time."""


class Declaring:
    """All methods raise BrokerUnavailable."""

    def __init__(self, link: Link, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._free: list[Channel] = []
        self._turns = asyncio.Semaphore(CHANNELS)
        self._delays = False

    async def declare(self, plan: LanePlan) -> None:
        """Make its queues exist.  A queue of this name with other arguments is not touched:
        BROKER-QUEUE-DIFFERS says what to do."""
        for queue in (plan.dead, plan.lane):
            await self._declared(queue)

    async def refresh(self, plan: LanePlan) -> tuple[int, int]:
        """How many envelopes wait in the lane, and how many consumers it has; declares it when it
        was deleted meanwhile."""
        counts = await self._asked(plan.lane)
        if counts is None:
            await self.restore(plan)
            return 0, 0
        return counts

    async def restore(self, plan: LanePlan) -> None:
        """Declare what was deleted.  Not at once: the servers of a quorum queue end after its
        deletion was answered, and a queue of the same name that is declared meanwhile may get one
        of them, with consumers that nobody serves any more (seen with 3.10.8)."""
        await asyncio.sleep(GONE_SECONDS)
        self._delays = False
        await self.declare(plan)

    async def replace(self, queue: Queue) -> None:
        """Delete it with all that is in it, and declare it again."""
        await self._checked(queue.name, lambda raw: raw.queue_delete, queue=queue.name)
        await asyncio.sleep(GONE_SECONDS)  # see `restore`
        await self._declared(queue)

    async def count(self, queue: Queue) -> int:
        counts = await self._asked(queue)
        return counts[0] if counts is not None else 0

    async def purge(self, queue: str) -> None:
        with suppress(ChannelEnded):  # it does not exist: nothing is in it
            await self._ask(lambda raw: raw.queue_purge, queue=queue)

    async def delays(self) -> None:
        """Make the delay queues exist, once in the life of this process."""
        if self._delays:
            return
        for delay in delay_plan(self._prefix):
            await self._declared(delay.queue)
            await self._checked(
                delay.exchange,
                lambda raw: raw.exchange_declare,
                exchange=delay.exchange,
                exchange_type="fanout",
                durable=True,
            )
            await self._checked(
                delay.exchange,
                lambda raw: raw.queue_bind,
                queue=delay.queue.name,
                exchange=delay.exchange,
                routing_key="",
            )
        self._delays = True

    def doubt_delays(self) -> None:
        """Declare the delay queues again before they are used."""
        self._delays = False

    async def _asked(self, queue: Queue) -> tuple[int, int] | None:
        """None when there is no such queue."""
        try:
            answer = await self._ask(
                lambda raw: raw.queue_declare, queue=queue.name, passive=True, durable=True
            )
        except ChannelEnded as error:
            if error.code == NOT_FOUND:
                return None
            raise unavailable("BROKER-LOST", f"queue not counted: {error}") from error
        return int(answer.method.message_count), int(answer.method.consumer_count)

    async def _declared(self, queue: Queue) -> None:
        await self._checked(
            queue.name,
            lambda raw: raw.queue_declare,
            queue=queue.name,
            durable=True,
            arguments=dict(queue.arguments),
        )

    async def _checked(self, name: str, method: Callable[[Any], Any], **arguments: Any) -> Any:
        try:
            return await self._ask(method, **arguments)
        except ChannelEnded as error:
            if error.code == PRECONDITION_FAILED:
                raise unavailable(
                    "BROKER-QUEUE-DIFFERS",
                    f"'{name}' exists with other arguments",
                    f"stop the engines and delete it (rabbitmqctl delete_queue {name}); what was in"
                    " it is in the store and goes out after the start",
                ) from error
            raise unavailable("BROKER-LOST", f"'{name}' not declared: {error}") from error

    async def _ask(self, method: Callable[[Any], Any], **arguments: Any) -> Any:
        async with self._turns:
            channel = self._free.pop() if self._free else None
            if channel is None or channel.ended.done():
                channel = await self._link.channel()
            try:
                answer = await channel.ask(method(channel.raw), **arguments)
            except BaseException:
                channel.give_up()
                raise
            self._free.append(channel)
            return answer
