"""When to try again: back-off with jitter, and when to give up.  Pure."""

from __future__ import annotations

from datetime import timedelta

from engine.config.model import RetryPolicy


def delay(policy: RetryPolicy, attempt: int, *, spread: float) -> timedelta:
    """The wait after failed attempt number ``attempt`` (1 is the first).

    ``spread`` in [0, 1) places the wait within ± ``policy.jitter`` of its nominal length, so that
    lanes that failed together do not come back together.
    """
    return _nominal(policy, attempt) * (1 + policy.jitter * (2 * spread - 1))


def exhausted(policy: RetryPolicy, attempt: int) -> bool:
    """Whether the waits up to ``attempt`` add up to the policy's ``give_up``."""
    if policy.give_up is None:
        return False
    waited = timedelta(0)
    for number in range(1, attempt + 1):
        nominal = _nominal(policy, number)
        waited += nominal
        if waited >= policy.give_up:
            return True
        if nominal >= policy.max:
            return waited + (attempt - number) * nominal >= policy.give_up
    return False


def _nominal(policy: RetryPolicy, attempt: int) -> timedelta:
    # 2**1000 s is no timedelta: past 64 doublings the cap has long been reached.
    growth = policy.factor ** min(attempt - 1, 64)
    return min(policy.max.total_seconds(), policy.first.total_seconds() * growth) * _SECOND


_SECOND = timedelta(seconds=1)
