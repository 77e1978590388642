"""What is declared in RabbitMQ: a pure function of the queues that are wanted.

A lane has a quorum queue.  A target has a dead-letter queue for what was set aside.  All share the
delay queues: an envelope waits in one for its fixed time and goes back to its lane by
dead-lettering under its own routing key.  Since all in one delay queue wait equally long, none is
held up by the one before it; longer waits are made of several.

Names say nothing: they are digests of the channels' names.  Nothing here is lost for good when it
is deleted: the store's outbox fills it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.contract import QueueSpec

DELAYS: Final = tuple(2**power for power in range(16))
"""Seconds, from one to nine hours."""

_MILLISECONDS = 1000
_DAY = 24 * 3600 * _MILLISECONDS
UNUSED: Final = 14 * _DAY
"""A lane that no engine has consumed or declared for so long deletes itself: of a removed channel,
or of a lane more than the channel has now."""
DEAD_KEPT: Final = 30 * _DAY
DEAD_LENGTH: Final = 1000
RETURNS: Final = 100_000
"""The delivery limit.  It must be there for returned envelopes to keep their place (see the
package), and must not be reached by a lane that waits for days: each hour of waiting takes six."""


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delay:
    """A queue, and the fanout exchange that leads into it whatever the routing key."""

    exchange: str
    queue: Queue
    seconds: int


@dataclass(frozen=True, slots=True)
class LanePlan:
    """All of it is durable; the default exchange leads to both."""

    lane: Queue
    dead: Queue


def lane_plan(prefix: str, spec: QueueSpec) -> LanePlan:
    """``ordered`` is part of the name: a channel whose ordering is changed gets new queues, since
    the arguments of a queue cannot be changed.  ``capacity`` is the publisher's, not an argument:
    a queue that refuses the third of five and takes the fourth would break the order."""
    channel, _, lane = spec.name.partition("/")
    digest = hashlib.blake2s(channel.encode(), digest_size=8).hexdigest()
    kind = "ordered" if spec.ordered else "free"
    dead = Queue(
        f"{prefix}.dead.{digest}",
        {
            "x-queue-type": "quorum",
            "x-max-length": DEAD_LENGTH,
            "x-overflow": "drop-head",
            "x-message-ttl": DEAD_KEPT,
        },
    )
    arguments: dict[str, Any] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": RETURNS,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead.name,
        "x-expires": UNUSED,
    }
    if spec.ordered:
        arguments["x-single-active-consumer"] = True
    return LanePlan(Queue(f"{prefix}.{kind}.{digest}.{lane or 0}", arguments), dead)


def delay_plan(prefix: str) -> tuple[Delay, ...]:
    """Dead-lettering is confirmed inside the broker (``at-least-once``, 3.10): an envelope leaves a
    delay queue only after its lane has it."""
    return tuple(
        Delay(
            f"{prefix}.delay.{seconds}",
            Queue(
                f"{prefix}.delay.{seconds}",
                {
                    "x-queue-type": "quorum",
                    "x-message-ttl": seconds * _MILLISECONDS,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            ),
            seconds,
        )
        for seconds in DELAYS
    )


def delay_exchange(prefix: str, seconds: float) -> str | None:
    """Where an envelope waits that is due in so many seconds, never longer than that; None when it
    is due in less than the shortest."""
    fitting = [step for step in DELAYS if step <= seconds]
    return f"{prefix}.delay.{fitting[-1]}" if fitting else None


def delay_queue(prefix: str, exchange: str) -> Queue:
    """The one that this exchange leads into."""
    return next(delay.queue for delay in delay_plan(prefix) if delay.exchange == exchange)
