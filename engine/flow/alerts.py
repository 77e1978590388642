"""Which of a channel's ``alerts:`` hold at this moment.  Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from engine.config.model import Alerts


class Alert(StrEnum):
    """A bounded list, named as the keys of ``alerts:``."""

    QUEUE_OVER = "queue_over"
    OLDEST_OVER = "oldest_over"
    IDLE_OVER = "idle_over"


def holding(
    alerts: Alerts, *, unfinished: int, oldest: datetime | None, active_at: datetime, now: datetime
) -> frozenset[Alert]:
    """``unfinished`` deliveries wait, the ``oldest`` since then; the channel last carried a message
    (or was started) at ``active_at``."""
    held = set()
    if alerts.queue_over is not None and unfinished > alerts.queue_over:
        held.add(Alert.QUEUE_OVER)
    if _longer(alerts.oldest_over, oldest, now):
        held.add(Alert.OLDEST_OVER)
    if _longer(alerts.idle_over, active_at, now):
        held.add(Alert.IDLE_OVER)
    return frozenset(held)


def _longer(limit: timedelta | None, since: datetime | None, now: datetime) -> bool:
    return limit is not None and since is not None and now - since > limit
