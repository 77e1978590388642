"""Replaces a queue that has no leader and will not get one.

RabbitMQ 3.10 writes down the name of a new quorum queue up to a second late.  A node that is killed
before finds the queue without its data when it starts again, begins it anew, and calls no election:
the queue takes declarations, but neither consumers nor envelopes, also after further restarts
(rabbitmq-server issue 15725).  Deleting it is all that helps, and costs nothing: the store fills it
again.

A queue is silent too while most of its nodes are away, and is then not ours to delete.  So another
queue must be served at the same time: where most nodes are away, no queue is.
"""

from __future__ import annotations

from typing import Any

from engine.broker.rabbitmq.declaring import Declaring
from engine.broker.rabbitmq.link import ChannelEnded, Link
from engine.broker.rabbitmq.topology import Queue
from engine.contract import BrokerUnavailable

SERVED_SECONDS = 3.0


class Mending:
    """One for a broker."""

    def __init__(self, link: Link, declaring: Declaring, log: Any) -> None:
        self._link = link
        self._declaring = declaring
        self._log = log
        self._in_hand: set[str] = set()

    async def mend(self, queue: Queue, witness: Queue) -> bool:
        """Delete ``queue`` and declare it again if it is not served while ``witness`` is; whether
        that was done.  For a queue that was silent already."""
        if queue.name in self._in_hand:
            return False
        self._in_hand.add(queue.name)
        try:
            # The witness first: another engine may have mended the queue meanwhile.
            if not await self._is_served(witness) or await self._is_served(queue):
                return False
            self._log.error("queue without leader is declared anew", named=queue.name)
            await self._declaring.replace(queue)
            return True
        except BrokerUnavailable:
            return False  # whoever needs it finds it silent again
        finally:
            self._in_hand.discard(queue.name)

    async def _is_served(self, queue: Queue) -> bool:
        """Whether a consumer is taken.  What comes to it meanwhile goes back to its place."""
        channel = await self._link.channel()
        try:
            await channel.ask(channel.raw.basic_qos, prefetch_count=1)
            await channel.ask(
                channel.raw.basic_consume,
                within=SERVED_SECONDS,
                queue=queue.name,
                on_message_callback=_nothing,
            )
        except ChannelEnded:
            return True  # it does not exist: whoever declares it gets a new one
        except BrokerUnavailable:
            return False
        finally:
            await channel.close()
        return True


def _nothing(*_message: object) -> None:
    """It goes back with its channel."""
