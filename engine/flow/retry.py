"""When to try again: back-off with jitter, and when to give up.  Pure."""

from __future__ import annotations

import math
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
    first, longest = policy.first.total_seconds(), policy.max.total_seconds()
    growing = min(attempt, _growing(policy))
    if policy.factor > 1:
        waited = first * (policy.factor**growing - 1) / (policy.factor - 1)
    else:
        waited = first * growing
    waited += (attempt - growing) * longest
    return bool(waited >= policy.give_up.total_seconds())


def _nominal(policy: RetryPolicy, attempt: int) -> timedelta:
    if attempt > _growing(policy):
        return policy.max
    return policy.first * policy.factor ** (attempt - 1)


def _growing(policy: RetryPolicy) -> float:
    """How many waits are shorter than the longest: all of them where they do not grow."""
    first, longest = policy.first.total_seconds(), policy.max.total_seconds()
    if first >= longest:
        return 0
    if policy.factor <= 1:
        return math.inf
    return math.ceil(math.log(longest / first) / math.log(policy.factor))
