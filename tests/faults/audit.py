"""The checker of the crash runs: from what sender, receiver and store say, is the promise kept?

Pure.  `audit` never looks at the engine's own opinion of itself, except to ask whether its record
explains a message that arrived twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Copy:
    """One stored copy of a message, as the store's history shows it."""

    sent: bool  # it has a SENT event
    possible_duplicate: bool  # ... which says that an earlier attempt may have reached the peer


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen from outside during a run; messages are known by their numbers."""

    sends: Mapping[int, int]  # how often each message was written to the engine
    acknowledged: Sequence[int]  # in the order of acknowledgement
    delivered: Sequence[int]  # as they arrived at the receiver, repetitions included
    key: Callable[[int], int]  # the ordering key of a message
    copies: Callable[[int], Sequence[Copy]]  # asked only about what arrived more than once


@dataclass(frozen=True, slots=True)
class Verdict:
    """``lost``: acknowledged and never delivered.  ``strangers``: delivered and never sent.
    ``unexplained``: arrived more often than the sender's repetitions and the delivery record
    account for.  ``disordered``: first arrived after a later one of its key."""

    sent: int
    acknowledged: int
    delivered: int  # different messages
    duplicates: int  # arrivals beyond the first
    lost: tuple[int, ...]
    strangers: tuple[int, ...]
    unexplained: tuple[int, ...]
    disordered: tuple[int, ...]

    @property
    def kept(self) -> bool:
        """The promise was kept."""
        return not (self.lost or self.strangers or self.unexplained or self.disordered)

    def __str__(self) -> str:
        return (
            f"sent {self.sent}, acked {self.acknowledged}, delivered {self.delivered}, "
            f"duplicates {self.duplicates} (unexplained {len(self.unexplained)}), "
            f"lost {len(self.lost)}, disordered {len(self.disordered)}, "
            f"strangers {len(self.strangers)}"
        )


def audit(evidence: Evidence) -> Verdict:
    """Judge a finished run, after everything that waited was delivered."""
    arrivals = Counter(evidence.delivered)
    lost = [number for number in evidence.acknowledged if number not in arrivals]
    strangers = [number for number in arrivals if number not in evidence.sends]
    repeated = [
        number for number, times in arrivals.items() if times > 1 and number in evidence.sends
    ]
    return Verdict(
        sent=len(evidence.sends),
        acknowledged=len(evidence.acknowledged),
        delivered=len(arrivals),
        duplicates=len(evidence.delivered) - len(arrivals),
        lost=tuple(lost),
        strangers=tuple(strangers),
        unexplained=tuple(
            number
            for number in repeated
            if not explained(
                arrivals[number], sends=evidence.sends[number], copies=evidence.copies(number)
            )
        ),
        disordered=tuple(disordered(evidence)),
    )


def explained(arrivals: int, *, sends: int, copies: Sequence[Copy]) -> bool:
    """Whether the record accounts for a message that arrived ``arrivals`` times.

    A copy that the store holds accounts for one arrival, and for any number when its SENT event
    says that it may be a duplicate.  There may be as many copies as the sender repeated it.
    """
    sent = [copy for copy in copies if copy.sent]
    if len(copies) > sends:
        return False
    return len(sent) >= arrivals or any(copy.possible_duplicate for copy in sent)


def disordered(evidence: Evidence) -> list[int]:
    """Messages whose first arrival came after that of a later acknowledged one of their key."""
    first: dict[int, int] = {}
    for position, number in enumerate(evidence.delivered):
        first.setdefault(number, position)
    latest: dict[int, int] = {}
    late = []
    for number in evidence.acknowledged:
        arrived = first.get(number)
        if arrived is None:
            continue  # lost, which is said elsewhere
        key = evidence.key(number)
        if arrived < latest.get(key, -1):
            late.append(number)
        else:
            latest[key] = arrived
    return late
