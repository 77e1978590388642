"""One picture of several processes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.contract import ErrorInfo, Stage
from engine.flow.alerts import Alert
from engine.flow.cluster import Node, joined, shown
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOST = ErrorInfo("MLLP-1", "nobody there", Stage.SENDING)


def channel(name: str, state: ChannelState, **facts: object) -> ChannelStatus:
    direction = "outbound" if name.startswith("out") else "inbound"
    made = ChannelStatus(name, "S", direction, "mllp", state, NOW)  # type: ignore[arg-type]
    return replace(made, **facts)  # type: ignore[arg-type]


def status(*channels: ChannelStatus) -> EngineStatus:
    return EngineStatus(NOW, "v1", True, channels)


def node(number: int, said: str = "") -> Node:
    started = NOW - timedelta(minutes=number)
    return Node(number, f"host:{number}", started, NOW, said)


def both(
    own: EngineStatus, other: EngineStatus, role: str = "all", here: str = "all"
) -> EngineStatus:
    text = shown(other, role, {each.name: each for each in other.channels})
    return joined(own, [node(1), node(2, text)], 1, here)


def test_counts_are_added_and_what_the_store_knows_is_not() -> None:
    mine = channel("out", ChannelState.RUNNING, sent=3, rate_out=1.5, waiting=7)
    theirs = channel("out", ChannelState.RUNNING, sent=4, rate_out=0.5, waiting=7)
    [found] = both(status(mine), status(theirs)).channels
    assert (found.sent, found.rate_out, found.waiting) == (7, 2.0, 7)
    assert (found.system, found.connector) == ("S", "mllp")


@pytest.mark.parametrize(
    ("mine", "theirs", "together"),
    [
        (ChannelState.RUNNING, ChannelState.FAILED, ChannelState.RUNNING),
        (ChannelState.STANDBY, ChannelState.RUNNING, ChannelState.RUNNING),
        (ChannelState.STANDBY, ChannelState.FAILED, ChannelState.FAILED),
        (ChannelState.STANDBY, ChannelState.STANDBY, ChannelState.STANDBY),
    ],
)
def test_a_channel_is_as_well_as_where_it_is_best(
    mine: ChannelState, theirs: ChannelState, together: ChannelState
) -> None:
    picture = both(status(channel("in", mine)), status(channel("in", theirs, last_error=LOST)))
    [found] = picture.channels
    assert found.state is together
    assert found.failed_on == (("host:2",) if theirs is ChannelState.FAILED else ())
    assert found.last_error == LOST
    assert picture.ready is together.well


def test_what_runs_elsewhere_is_theirs_to_say() -> None:
    own = status(channel("in", ChannelState.RUNNING), channel("out", ChannelState.STANDBY))
    workers = status(channel("out", ChannelState.FAILED))
    assert both(own, workers, "workers", "sources").channels[1].state is ChannelState.FAILED
    alone = joined(own, [node(1)], 1, "sources")
    assert alone.channels[1].state is ChannelState.STOPPED
    assert alone.channels[1].last_error is not None
    assert alone.channels[1].last_error.code == "FLOW-NOBODY"
    assert not alone.ready


def test_a_channel_is_idle_where_no_process_gets_anything() -> None:
    idle = channel("in", ChannelState.RUNNING, alerts=(Alert.IDLE_OVER,))
    busy = channel("in", ChannelState.RUNNING)
    assert both(status(idle), status(busy)).channels[0].alerts == ()
    assert both(status(idle), status(idle)).channels[0].alerts == (Alert.IDLE_OVER,)


def test_every_living_process_is_listed_also_one_that_said_nothing_yet() -> None:
    picture = joined(status(channel("in", ChannelState.RUNNING)), [node(1), node(2, "")], 1, "all")
    assert [(each.name, each.role, each.version, each.here) for each in picture.nodes] == [
        ("host:1", "all", "v1", True),
        ("host:2", "", "", False),
    ]
    assert picture.started_at == NOW - timedelta(minutes=2)
    assert picture.channels[0].state is ChannelState.RUNNING


def test_one_that_takes_nothing_is_not_ready() -> None:
    full = replace(status(channel("in", ChannelState.RUNNING)), refusing=LOST)
    picture = both(status(channel("in", ChannelState.RUNNING)), full)
    assert picture.refusing == LOST
    assert not picture.ready


def test_nothing_new_gives_the_same_text() -> None:
    one = status(channel("in", ChannelState.RUNNING, received=5))
    assert shown(one, "all", {"in": 0}) == shown(one, "all", {"in": 0})
    assert "waiting" not in shown(
        status(channel("out", ChannelState.RUNNING, waiting=5)), "all", {"out": 0}
    )
