"""One picture of all engine processes on a store.  Pure.

Each process writes what it knows about its own channels into the store, once a second at most
(`shown`); whichever process is asked joins what the living ones wrote (`joined`).  What waits is
not in there: everybody reads it from the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from engine.contract import ErrorInfo, Stage
from engine.flow.alerts import Alert
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus, NodeStatus

COUNTS: Final = (
    "received",
    "accepted",
    "duplicates",
    "rejected",
    "unavailable",
    "unrouted",
    "filtered",
    "sent",
    "retried",
    "rate_in",
    "rate_out",
)
"""What is added up."""

_RANK: Final = (
    ChannelState.RUNNING,
    ChannelState.FAILED,
    ChannelState.STARTING,
    ChannelState.STANDBY,
    ChannelState.STOPPED,
)
"""The state of a channel is the first of these that it has in any process."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one process says of itself: no clinical value, and nothing that the store knows."""

    role: str
    version: str
    channels: tuple[ChannelStatus, ...]
    refusing: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A living process, as the store knows it.  ``said`` is empty before its first word."""

    id: int
    name: str
    started_at: datetime
    beat_at: datetime
    said: str


_SHOWN: Final = TypeAdapter(Shown)


def shown(status: EngineStatus, role: str, running: Mapping[str, object]) -> str:
    """What the others get to see; ``running``: the channels that run in this process.  The same
    text as before when nothing happened."""
    channels = tuple(_own(each) for each in status.channels if each.name in running)
    said = Shown(role, status.version, channels, status.refusing)
    return _SHOWN.dump_json(said, exclude_defaults=True).decode()


def _own(channel: ChannelStatus) -> ChannelStatus:
    """What only this process knows of the channel."""
    return replace(
        channel,
        system="",
        connector="",
        waiting=0,
        retrying=0,
        uncertain=0,
        dead=0,
        oldest_waiting=None,
        halt=None,
    )


def joined(own: EngineStatus, nodes: Sequence[Node], here: int, role: str) -> EngineStatus:
    """The picture of all, from this process's own and what the others said.  What cannot be read
    (another version of this program) is left out; its node is listed."""
    said = {node.id: _read(node.said) for node in nodes if node.id != here}
    others = [each for each in said.values() if each is not None]
    entries: dict[str, list[tuple[str, ChannelStatus]]] = {}
    for node in nodes:
        one = said.get(node.id)
        for channel in () if one is None else one.channels:
            entries.setdefault(channel.name, []).append((node.name, channel))
    own_name = next((node.name for node in nodes if node.id == here), "")
    directions = _DIRECTIONS.get(role, _BOTH)
    known = all(each is not None for each in said.values())
    channels = tuple(
        _channel(
            channel,
            entries.get(channel.name, ()),
            own_name if channel.direction in directions else None,
            known,
        )
        for channel in own.channels
    )
    refusing = own.refusing or next((one.refusing for one in others if one.refusing), None)
    configured = [each for each in channels if each.state is not ChannelState.REMOVED]
    ready = bool(configured) and refusing is None and all(each.state.well for each in configured)
    return replace(
        own,
        started_at=min([own.started_at, *(node.started_at for node in nodes)]),
        ready=ready,
        channels=channels,
        refusing=refusing,
        nodes=tuple(_node(node, said.get(node.id), own, here, role) for node in nodes),
    )


_BOTH: Final = frozenset({"inbound", "outbound"})
_DIRECTIONS: Final = {"sources": frozenset({"inbound"}), "workers": frozenset({"outbound"})}


def _read(text: str) -> Shown | None:
    try:
        return _SHOWN.validate_json(text)
    except ValidationError:
        return None


def _channel(
    own: ChannelStatus,
    elsewhere: Sequence[tuple[str, ChannelStatus]],
    here: str | None,
    known: bool,
) -> ChannelStatus:
    """``here``: the name of this process when the channel runs in it; ``known``: all the others
    said what runs in them."""
    if own.state is ChannelState.REMOVED:
        return own
    parts = [*elsewhere] if here is None else [(here, own), *elsewhere]
    if not parts:
        return replace(own, state=ChannelState.STOPPED, last_error=NOBODY) if known else own
    state = next(each for each in _RANK if any(part.state is each for _, part in parts))
    of_state = [part for _, part in parts if part.state is state]
    errors = [part.last_error for part in of_state] + [part.last_error for _, part in parts]
    sums: dict[str, Any] = {name: sum(getattr(part, name) for _, part in parts) for name in COUNTS}
    idle = all(Alert.IDLE_OVER in part.alerts for _, part in parts)
    alerts = {alert for _, part in parts for alert in part.alerts}
    return replace(
        own,
        **sums,
        state=state,
        since=min(part.since for part in of_state),
        last_error=next((error for error in errors if error is not None), None),
        blocked=any(part.blocked for _, part in parts),
        alerts=tuple(sorted(alerts if idle else alerts - {Alert.IDLE_OVER})),
        failed_on=tuple(name for name, part in parts if part.state is ChannelState.FAILED),
    )


def _node(node: Node, said: Shown | None, own: EngineStatus, here: int, role: str) -> NodeStatus:
    mine = node.id == here
    directions = _DIRECTIONS.get(role, _BOTH)
    own_channels = tuple(each for each in own.channels if each.direction in directions)
    return NodeStatus(
        node.name,
        role if mine else "" if said is None else said.role,
        node.started_at,
        node.beat_at,
        own.version if mine else "" if said is None else said.version,
        here=mine,
        channels=own_channels if mine else () if said is None else said.channels,
    )


NOBODY: Final = ErrorInfo(
    "FLOW-NOBODY",
    "no living process runs channels of this direction",
    Stage.STARTING,
    help="start one: carebus run --role workers (or sources, or all)",
)
