"""Back-off: nominal waits, their cap and spread, and giving up."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.config.model import RetryPolicy
from engine.flow.retry import delay, exhausted

SECOND = timedelta(seconds=1)
PLAIN = RetryPolicy(first=SECOND, factor=2, max=60 * SECOND, give_up=None, jitter=0)


def test_waits_double_up_to_the_longest() -> None:
    waits = [delay(PLAIN, attempt, spread=0.3) / SECOND for attempt in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_jitter_spreads_around_the_nominal_wait() -> None:
    policy = RetryPolicy(first=10 * SECOND, jitter=0.2, max=60 * SECOND)
    assert delay(policy, 1, spread=0.0) == 8 * SECOND
    assert delay(policy, 1, spread=0.5) == 10 * SECOND
    assert delay(policy, 1, spread=0.75) == 11 * SECOND


def test_gives_up_when_the_waits_add_up() -> None:
    policy = RetryPolicy(first=SECOND, factor=2, max=4 * SECOND, give_up=15 * SECOND)
    # 1 + 2 + 4 + 4 = 11 after four, 15 after five
    assert [exhausted(policy, attempt) for attempt in range(1, 7)] == [False] * 4 + [True] * 2
    assert not exhausted(PLAIN, 10**6)


@given(
    attempt=st.integers(1, 10**9),
    factor=st.floats(1, 100),
    spread=st.floats(0, 1, exclude_max=True),
)
def test_any_attempt_has_a_bounded_wait(attempt: int, factor: float, spread: float) -> None:
    policy = RetryPolicy(factor=factor)
    wait = delay(policy, attempt, spread=spread)
    assert timedelta(0) < wait <= policy.max * (1 + policy.jitter)
    slow, nominal = 0.0, 1.0
    for _ in range(min(attempt, 2000)):
        slow += nominal
        nominal = min(300.0, nominal * factor)
    assert exhausted(policy, min(attempt, 2000)) is (slow >= 3 * 86400)
