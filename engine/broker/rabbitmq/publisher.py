"""Publishing: what returns is confirmed, and nothing else is.

Every publish is mandatory, persistent and confirmed.  Many are in flight at once on one channel;
each caller waits for its own.  A message that no queue took is returned before it is confirmed, and
is known by its id, so that nobody is blamed for another's.

The first envelope that a channel publishes to a queue blocks the channel until the queue has a
leader.  It therefore has a channel of its own; the rest follows when it is confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pika
from pika.exceptions import AMQPError

from engine.broker.rabbitmq.envelopes import CONTENT_TYPE
from engine.broker.rabbitmq.link import Channel, ChannelEnded, Link, unavailable
from engine.contract import BrokerUnavailable, ErrorInfo, Stage, Unroutable

CONFIRM_SECONDS = 5.0
UNCONFIRMED = "BROKER-UNCONFIRMED"


class _Call:
    """One caller's publishes: how many are open still, and the first thing that went wrong."""

    __slots__ = ("done", "error", "open")

    def __init__(self, count: int) -> None:
        self.open = count
        self.error: Exception | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, error: Exception | None) -> None:
        self.open -= 1
        self.error = self.error or error
        if not self.open:
            self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Publisher:
    """`run` is one task.  `publish` may be called concurrently, before the connection too."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._ready = asyncio.Event()
        self._next = 1
        self._unconfirmed: dict[int, _Call] = {}
        self._returned: set[int] = set()
        self._served: set[tuple[str, str]] = set()  # exchange and key, in the life of the channel

    async def run(self) -> None:
        """Keep a confirming channel open until cancelled."""
        while True:
            try:
                channel = await self._link.channel(within=None)
                channel.raw.add_on_return_callback(self._on_return)
                # Numbers of publishes begin anew with each channel.
                self._next = 1
                await channel.ask(channel.raw.confirm_delivery, ack_nack_callback=self._on_confirm)
            except (ChannelEnded, BrokerUnavailable):
                continue
            self._channel = channel
            self._ready.set()
            try:
                await asyncio.wait({channel.ended})
            finally:
                self._ready.clear()
                self._channel = None
                self._served.clear()
                self._lost()
                channel.give_up()

    async def publish(self, exchange: str, key: str, bodies: Sequence[bytes]) -> None:
        """Return when every one is confirmed in a queue.

        Raises Unroutable or BrokerUnavailable.  Cancelled, or late, it says nothing of whether the
        broker has them.
        """
        if not bodies:
            return
        where = (exchange, key)
        if where not in self._served:
            await self._tried(exchange, key, bodies[:1])
            self._served.add(where)
            bodies = bodies[1:]
        try:
            await self._confirmed(exchange, key, bodies)
        except (BrokerUnavailable, Unroutable):
            self._served.discard(where)
            raise

    async def _tried(self, exchange: str, key: str, bodies: Sequence[bytes]) -> None:
        trial = Publisher(self._link)
        running = asyncio.create_task(trial.run(), name="broker publisher trial")
        try:
            await trial._confirmed(exchange, key, bodies)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _confirmed(self, exchange: str, key: str, bodies: Sequence[bytes]) -> None:
        if not bodies:
            return
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                call = await self._sent(exchange, key, bodies)
                await call.done
        except TimeoutError:
            if self._link.trouble is not None:
                raise BrokerUnavailable(self._link.trouble) from None
            raise unavailable(
                UNCONFIRMED,
                f"not confirmed within {CONFIRM_SECONDS:g} s",
                "it is published again; look whether the queue has a leader",
            ) from None
        if call.error is not None:
            raise call.error

    async def _sent(self, exchange: str, key: str, bodies: Sequence[bytes]) -> _Call:
        while True:
            await self._ready.wait()
            await self._link.unblocked()
            if self._channel is not None:
                break
        raw = self._channel.raw
        call = _Call(len(bodies))
        for body in bodies:
            number = self._next
            self._next = number + 1
            self._unconfirmed[number] = call
            try:
                raw.basic_publish(
                    exchange,
                    key,
                    body,
                    pika.BasicProperties(
                        content_type=CONTENT_TYPE,
                        delivery_mode=pika.DeliveryMode.Persistent,
                        message_id=str(number),
                    ),
                    mandatory=True,
                )
            except AMQPError:
                self._lost()
                break
        return call

    def _on_return(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        self._returned.add(int(properties.message_id))

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        last = method.delivery_tag
        refused = isinstance(method, pika.spec.Basic.Nack)
        if not method.multiple:
            self._settle(last, refused)
            return
        for number in list(self._unconfirmed):
            if number > last:
                break
            self._settle(number, refused)

    def _settle(self, number: int, refused: bool) -> None:
        call = self._unconfirmed.pop(number, None)
        if call is None:
            return
        error: Exception | None = None
        if number in self._returned:
            self._returned.discard(number)
            error = Unroutable(
                ErrorInfo(
                    "BROKER-UNROUTABLE",
                    "no queue took an envelope",
                    Stage.ROUTING,
                    help="declare the queue before publishing to it",
                )
            )
        elif refused:
            error = unavailable(
                "BROKER-REFUSED",
                "the broker refused an envelope",
                "look for a limit that a policy sets on our queues",
            )
        call.settle(error)

    def _lost(self) -> None:
        """The channel is gone with whatever was not confirmed."""
        open_calls = set(self._unconfirmed.values())
        self._unconfirmed.clear()
        self._returned.clear()
        for call in open_calls:
            call.error = unavailable(
                "BROKER-LOST", "the connection was lost before the confirmation"
            )
            call.finish()
