"""The outcome table, written down a second time."""

from datetime import timedelta

import pytest

from engine.config.model import RetryPolicy
from engine.contract import (
    EngineError,
    ErrorInfo,
    FormatError,
    MappingError,
    NotConnected,
    RejectedError,
    RetryableError,
    Stage,
    UncertainError,
    UnknownMessage,
)
from engine.flow.outcomes import Again, Bury, Hold, Next, OnUncertain, Reopen, after

INFO = ErrorInfo("T-1", "test", Stage.SENDING)
SECOND = timedelta(seconds=1)
POLICY = RetryPolicy(first=SECOND, factor=2, max=60 * SECOND, give_up=100 * SECOND, jitter=0)
GIVEN_UP = 7  # 1 + 2 + 4 + 8 + 16 + 32 + 60 = 123


@pytest.mark.parametrize(
    ("error", "attempt", "on_uncertain", "step"),
    [
        (NotConnected(INFO), 1, "hold", Reopen()),
        (NotConnected(INFO), GIVEN_UP, "retry", Reopen()),
        (RejectedError(INFO), 1, "retry", Bury()),
        (MappingError(INFO), 1, "retry", Bury()),
        (FormatError(INFO), 1, "retry", Bury()),
        (UnknownMessage(INFO), 1, "hold", Bury()),
        (RetryableError(INFO), 3, "hold", Again(4 * SECOND)),
        (RetryableError(INFO, after=9 * SECOND), 3, "hold", Again(9 * SECOND)),
        (RetryableError(INFO, after=9 * SECOND), GIVEN_UP, "hold", Bury()),
        (UncertainError(INFO), 1, "hold", Hold()),
        (UncertainError(INFO), GIVEN_UP, "hold", Hold()),
        (UncertainError(INFO), 2, "retry", Again(2 * SECOND, uncertain=True)),
        (UncertainError(INFO), GIVEN_UP, "retry", Bury()),
        (EngineError(INFO), 1, "hold", Hold()),
    ],
)
def test_what_follows(
    error: EngineError, attempt: int, on_uncertain: OnUncertain, step: Next
) -> None:
    assert (
        after(error, attempt=attempt, policy=POLICY, on_uncertain=on_uncertain, spread=0.5) == step
    )
