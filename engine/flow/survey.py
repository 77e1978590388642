"""The engine's status from its parts.  Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from engine.config.model import Channel, Configuration
from engine.contract import Backlog, ErrorInfo, Halt, State
from engine.flow.alerts import Alert, holding
from engine.flow.inbound import InboundChannel
from engine.flow.orphans import REMOVED
from engine.flow.outbound import OutboundChannel
from engine.flow.status import ChannelState, ChannelStatus, EngineStatus


def survey(
    configuration: Configuration,
    *,
    started_at: datetime,
    inbound: Mapping[str, InboundChannel],
    outbound: Mapping[str, OutboundChannel],
    backlog: Sequence[Backlog],
    refusing: ErrorInfo | None,
    now: datetime,
    elsewhere: Container[str] = (),
    halts: Mapping[str, Halt] | None = None,
) -> EngineStatus:
    """Every configured channel in the order of its file's name, also those that are stopped; then
    the channels that were removed while deliveries waited for them.  ``elsewhere``: the directions
    whose channels other processes run; ``halts``: the channels that a person stopped."""
    waiting = {(str(row.channel), row.state): row for row in backlog}
    channels = []
    for name, channel in sorted(configuration.channels.items()):
        if name in inbound:
            channels.append(_inbound(channel, inbound[name], now))
        else:
            rows = {state: waiting.get((name, state)) for state in State}
            found = _outbound(channel, outbound.get(name), rows, started_at, now)
            if channel.direction in elsewhere:
                found = replace(found, state=ChannelState.STANDBY)
            channels.append(found)
    stopped = halts or {}
    channels = [
        replace(each, state=ChannelState.STOPPED, halt=stopped[each.name])
        if each.name in stopped
        else each
        for each in channels
    ]
    running = bool(channels) and all(each.state.well for each in channels)
    ready = running and refusing is None
    channels += _removed(configuration, backlog, started_at)
    return EngineStatus(started_at, configuration.version, ready, tuple(channels), refusing)


def _inbound(channel: Channel, running: InboundChannel, now: datetime) -> ChannelStatus:
    counts, health = running.counts, running.health
    return ChannelStatus(
        channel.name,
        channel.system,
        "inbound",
        channel.spec.name,
        health.state,
        health.since,
        received=counts.received,
        accepted=counts.accepted,
        duplicates=counts.duplicates,
        rejected=counts.rejected,
        unavailable=counts.unavailable,
        unrouted=counts.unrouted,
        filtered=counts.filtered,
        rate_in=counts.rate.per_second,
        last_error=health.last_error or counts.last_error,
        alerts=_alerts(channel, 0, None, counts.rate.active_at, now),
    )


def _outbound(
    channel: Channel,
    running: OutboundChannel | None,
    rows: Mapping[State, Backlog | None],
    started_at: datetime,
    now: datetime,
) -> ChannelStatus:
    def count(state: State) -> int:
        row = rows[state]
        return 0 if row is None else row.count

    unfinished = [
        row
        for state in (State.QUEUED, State.RETRYING, State.UNCERTAIN)
        if (row := rows[state]) is not None
    ]
    oldest = min((row.oldest for row in unfinished if row.oldest is not None), default=None)
    health = None if running is None else running.health
    counts = None if running is None else running.counts
    return ChannelStatus(
        channel.name,
        channel.system,
        channel.direction,
        channel.spec.name,
        ChannelState.STOPPED if health is None else health.state,
        started_at if health is None else health.since,
        sent=0 if counts is None else counts.sent,
        retried=0 if counts is None else counts.retried,
        waiting=count(State.QUEUED),
        retrying=count(State.RETRYING),
        uncertain=count(State.UNCERTAIN),
        dead=count(State.DEAD),
        rate_out=0.0 if counts is None else counts.rate.per_second,
        oldest_waiting=oldest,
        last_error=_latest(running),
        blocked=running is not None and running.blocked,
        alerts=_alerts(
            channel,
            sum(row.count for row in unfinished),
            oldest,
            started_at if counts is None else counts.rate.active_at,
            now,
        ),
    )


def _removed(
    configuration: Configuration, backlog: Sequence[Backlog], started_at: datetime
) -> list[ChannelStatus]:
    rows: dict[str, dict[State, Backlog]] = {}
    for row in backlog:
        if row.channel not in configuration.channels:
            rows.setdefault(row.channel, {})[row.state] = row
    found = []
    for name, of_state in sorted(rows.items()):
        count = {state: row.count for state, row in of_state.items()}
        unfinished = [row for state, row in of_state.items() if state is not State.DEAD]
        if unfinished:
            found.append(
                ChannelStatus(
                    name,
                    "",
                    "outbound",
                    "",
                    ChannelState.REMOVED,
                    started_at,
                    waiting=count.get(State.QUEUED, 0),
                    retrying=count.get(State.RETRYING, 0),
                    uncertain=count.get(State.UNCERTAIN, 0),
                    dead=count.get(State.DEAD, 0),
                    oldest_waiting=min(
                        (row.oldest for row in unfinished if row.oldest is not None), default=None
                    ),
                    last_error=REMOVED,
                )
            )
    return found


def _alerts(
    channel: Channel, unfinished: int, oldest: datetime | None, active_at: datetime, now: datetime
) -> tuple[Alert, ...]:
    held = holding(
        channel.alerts, unfinished=unfinished, oldest=oldest, active_at=active_at, now=now
    )
    return tuple(sorted(held))


def _latest(running: OutboundChannel | None) -> ErrorInfo | None:
    if running is None:
        return None
    if running.health.state is ChannelState.FAILED:
        return running.health.last_error
    return running.counts.last_error or running.health.last_error
