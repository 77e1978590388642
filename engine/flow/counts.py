"""Counts of one channel since the engine started: plain integers, read when somebody asks.

Counting costs one addition on the hot path; rates come from samples taken once a second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.contract import ErrorInfo

RATE_SECONDS = 10


@dataclass(slots=True)
class Rate:
    """Events a second over the last `RATE_SECONDS`, from the total sampled once a second.

    ``active_at`` is when the total last grew, to the second; at first, when this began.
    """

    active_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _samples: deque[int] = field(default_factory=lambda: deque([0], maxlen=RATE_SECONDS + 1))

    def sample(self, total: int, now: datetime) -> None:
        if total != self._samples[-1]:
            self.active_at = now
        self._samples.append(total)

    @property
    def per_second(self) -> float:
        if len(self._samples) < 2:
            return 0.0
        return (self._samples[-1] - self._samples[0]) / (len(self._samples) - 1)


@dataclass(slots=True)
class InboundCounts:
    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    unavailable: int = 0
    unrouted: int = 0
    filtered: int = 0
    last_error: ErrorInfo | None = None
    rate: Rate = field(default_factory=Rate)


@dataclass(slots=True)
class OutboundCounts:
    """What is waiting, retrying, held or dead is asked of the store, which knows it for certain."""

    sent: int = 0
    retried: int = 0
    last_error: ErrorInfo | None = None
    rate: Rate = field(default_factory=Rate)
