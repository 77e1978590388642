"""The state machine, with the picture of the design drawn a second time."""

from __future__ import annotations

import pytest

from engine.contract import State
from engine.store.states import (
    ENGINE_STEPS,
    FINISHED,
    MESSAGE_STATES,
    NOT_ROUTED,
    PERSON_STEPS,
    REROUTABLE,
    UNFINISHED,
    sources,
)

ENGINE = {
    ("queued", "sent"),
    ("queued", "retrying"),
    ("queued", "uncertain"),
    ("queued", "dead"),
    ("retrying", "queued"),
    ("uncertain", "queued"),
    ("cancelled", "sent"),
}
PERSON = {
    ("queued", "cancelled"),
    ("retrying", "cancelled"),
    ("uncertain", "cancelled"),
    ("uncertain", "queued"),
    ("dead", "cancelled"),
    ("dead", "queued"),
    ("sent", "queued"),
    ("cancelled", "queued"),
}


@pytest.mark.parametrize(("table", "picture"), [(ENGINE_STEPS, ENGINE), (PERSON_STEPS, PERSON)])
def test_the_table_is_the_picture(table: object, picture: set[tuple[str, str]]) -> None:
    assert isinstance(table, dict)
    steps = {(start.value, target.value) for start in table for target in table[start]}
    assert steps == picture


def test_every_state_belongs_to_a_message_or_to_a_delivery() -> None:
    assert {*MESSAGE_STATES, *UNFINISHED, *FINISHED} == set(State)
    assert not MESSAGE_STATES & {*UNFINISHED, *FINISHED}
    assert set(NOT_ROUTED) == MESSAGE_STATES - {State.RECEIVED}
    assert set(NOT_ROUTED) - REROUTABLE == {State.REJECTED}, "nothing can be routed by its bytes"


def test_sources_turns_the_table_round() -> None:
    assert sources(ENGINE_STEPS, State.QUEUED) == (State.RETRYING, State.UNCERTAIN)
    assert sources(ENGINE_STEPS, State.SENT) == (State.QUEUED, State.CANCELLED)
    assert sources(ENGINE_STEPS, State.CANCELLED) == ()
