"""What follows from each way a send can end.  Pure: the table that the workers obey.

=====================  =================================  =========================================
what happened          state                              then
=====================  =================================  =========================================
returned Delivered     SENT                               the next delivery
NotConnected           unchanged, no attempt counted      re-open with back-off, send again
RetryableError         RETRYING, or DEAD when given up    wait, send again
RejectedError          DEAD                               a person, replay
UncertainError         UNCERTAIN                          hold for a person, or RETRYING as a
                                                          possible duplicate (``on_uncertain``)
MappingError           DEAD                               mend the mapping, replay
FormatError            DEAD                               as MappingError
UnknownMessage         DEAD                               its content is gone; nothing was sent
cancelled in mid-send  UNCERTAIN, recorded by the stop    as UncertainError, at the next start
=====================  =================================  =========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from engine.config.model import RetryPolicy
from engine.contract import (
    EngineError,
    FormatError,
    MappingError,
    NotConnected,
    RejectedError,
    RetryableError,
    UncertainError,
    UnknownMessage,
)
from engine.flow import retry

OnUncertain = Literal["hold", "retry"]


@dataclass(frozen=True, slots=True)
class Reopen:
    """The peer was not reached: nothing is recorded, the same attempt is made once it is back."""


@dataclass(frozen=True, slots=True)
class Bury:
    """DEAD: it waits for a person."""


@dataclass(frozen=True, slots=True)
class Again:
    """RETRYING after ``wait``; ``uncertain`` when the peer may have it already."""

    wait: timedelta
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """UNCERTAIN, and nothing more until a person decides."""


Next = Reopen | Bury | Again | Hold


def after(
    error: EngineError,
    *,
    attempt: int,
    policy: RetryPolicy,
    on_uncertain: OnUncertain,
    spread: float,
) -> Next:
    """What to do after ``error`` ended attempt number ``attempt``.

    An error that no row names is an unknown outcome: the payload may have left.
    """
    match error:
        case NotConnected():
            return Reopen()
        case RejectedError() | MappingError() | FormatError() | UnknownMessage():
            return Bury()
        case RetryableError():
            if retry.exhausted(policy, attempt):
                return Bury()
            return Again(error.after or retry.delay(policy, attempt, spread=spread))
        case UncertainError() | EngineError():
            if on_uncertain == "hold":
                return Hold()
            if retry.exhausted(policy, attempt):
                return Bury()
            return Again(retry.delay(policy, attempt, spread=spread), uncertain=True)
