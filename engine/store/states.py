"""What a delivery may become: the state machine as a table.

Pure.  The engine's own steps and a person's steps are two tables, because a person may do what
the engine must never do by itself: send again what was SENT, or give up what waits.  The states of
a message as received (RECEIVED, FILTERED, UNROUTED, REJECTED) are given at acceptance; only a
person changes one, by routing a message again that no route wanted.  A delivery begins QUEUED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engine.contract import State

MESSAGE_STATES: Final = frozenset({State.RECEIVED, State.FILTERED, State.UNROUTED, State.REJECTED})
"""States of a message; what is not in here is a state of a delivery."""

NOT_ROUTED: Final = (State.FILTERED, State.UNROUTED, State.REJECTED)
"""Messages that have no deliveries."""

UNFINISHED: Final = (State.QUEUED, State.RETRYING, State.UNCERTAIN)
"""Deliveries the outbox shows."""

FINISHED: Final = (State.SENT, State.DEAD, State.CANCELLED)

TROUBLED: Final = (State.RETRYING, State.UNCERTAIN, State.DEAD, State.CANCELLED)
"""Deliveries that did not go straight through: few, and what people search for."""

ENGINE_STEPS: Final[Mapping[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.SENT, State.RETRYING, State.UNCERTAIN, State.DEAD}),
    State.RETRYING: frozenset({State.QUEUED}),
    State.UNCERTAIN: frozenset({State.QUEUED}),  # on_uncertain: retry
    State.CANCELLED: frozenset({State.SENT}),  # another process was sending: what happened counts
}
"""From → to, for `MessageStore.record`."""

PERSON_STEPS: Final[Mapping[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.CANCELLED}),
    State.RETRYING: frozenset({State.CANCELLED}),
    State.UNCERTAIN: frozenset({State.QUEUED, State.CANCELLED}),
    State.DEAD: frozenset({State.QUEUED, State.CANCELLED}),
    State.SENT: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}
"""From → to, for `MessageStore.replay` and `MessageStore.cancel`."""

REROUTABLE: Final = frozenset({State.FILTERED, State.UNROUTED})
"""Messages that `MessageStore.reroute` makes RECEIVED: they were read, and no route wanted them."""

PEER_MAY_HAVE_IT: Final = frozenset({State.SENT, State.UNCERTAIN})
"""A replay out of these states is a possible duplicate."""


def sources(steps: Mapping[State, frozenset[State]], target: State) -> tuple[State, ...]:
    """The states out of which ``steps`` leads to ``target``, in the order of `State`."""
    return tuple(state for state in State if target in steps.get(state, frozenset()))
