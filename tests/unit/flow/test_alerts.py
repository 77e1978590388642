"""When a channel's alerts hold."""

from datetime import UTC, datetime, timedelta

from engine.config.model import Alerts
from engine.flow.alerts import Alert, holding

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALERTS = Alerts(queue_over=10, oldest_over=5 * MINUTE, idle_over=30 * MINUTE)


def test_nothing_holds_at_the_limits() -> None:
    at_limits = holding(
        ALERTS, unfinished=10, oldest=NOW - 5 * MINUTE, active_at=NOW - 30 * MINUTE, now=NOW
    )
    assert at_limits == frozenset()


def test_each_holds_beyond_its_limit() -> None:
    second = timedelta(seconds=1)
    beyond = holding(
        ALERTS,
        unfinished=11,
        oldest=NOW - 5 * MINUTE - second,
        active_at=NOW - 30 * MINUTE - second,
        now=NOW,
    )
    assert beyond == frozenset(Alert)


def test_what_is_not_asked_for_never_holds() -> None:
    long_ago = NOW - timedelta(days=9)
    assert not holding(Alerts(), unfinished=10**9, oldest=long_ago, active_at=long_ago, now=NOW)
    assert holding(ALERTS, unfinished=0, oldest=None, active_at=NOW, now=NOW) == frozenset()
