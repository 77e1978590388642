"""What the workers of one outbound channel need of whatever feeds them.

There are two relays.  `engine.flow.outbox.OutboxRelay` serves one engine process: it knows every
commit, and keeps a window of the store in the broker.  `engine.flow.shared.SharedRelay` serves
processes that share a store and a broker: any of them commits, any of them may work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from engine.contract import ChannelName, DeliveryId, Lease, OutboxEntry


@dataclass(slots=True)
class Lane:
    """One queue of one outbound channel."""

    number: int
    queue: str


class Relay(Protocol):
    """One for each outbound channel.  One event loop."""

    @property
    def lanes(self) -> Sequence[Lane]: ...

    async def begin(self) -> None:
        """Before any worker starts.  Raises BrokerUnavailable, StoreUnavailable."""

    async def run(self) -> None:
        """Until cancelled."""

    def leases(
        self, lane: Lane, *, prefetch: int
    ) -> AbstractAsyncContextManager[AsyncIterator[Lease]]:
        """What a worker of this lane is to send, in order; as `Broker.consume`."""

    def finished(self, lane: Lane, delivery: DeliveryId) -> None:
        """A worker is done with this delivery (sent, dead, cancelled, or held outside a lane)."""

    def rewind(self, entry: OutboxEntry) -> None:
        """A person put this delivery back: it is to be sent."""


def lane_queue(channel: ChannelName, number: int, lanes: int) -> str:
    """The queue of one lane: the channel's name alone where it has only one."""
    return f"{channel}/{number}" if lanes > 1 else channel
