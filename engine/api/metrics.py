"""What Prometheus reads: the engine's status in its text form, made when it is asked for.

The flow counts in plain integers; nothing here runs for a message.  Labels come from bounded sets
only: a channel's name, a direction, a state, an outcome, an error code.  No label and no value is
taken from a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.flow.status import ChannelState, ChannelStatus, EngineStatus, NodeStatus

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_CODE = re.compile(r"[A-Z][A-Z0-9-]{0,39}")

# metric, help, (label value, attribute of ChannelStatus) …
_INBOUND: Final = (
    (
        "carebus_received_messages",
        "Messages offered by a sender, by what it was told.",
        "outcome",
        (
            ("accepted", "accepted"),
            ("duplicate", "duplicates"),
            ("rejected", "rejected"),
            ("unavailable", "unavailable"),
        ),
    ),
    (
        "carebus_unwanted_messages",
        "Accepted messages that no route took, by what became of them.",
        "state",
        (("unrouted", "unrouted"), ("filtered", "filtered")),
    ),
)
_OUTBOUND: Final = (
    ("carebus_sent_deliveries", "Deliveries the peer confirmed.", "sent"),
    ("carebus_retried_deliveries", "Sends that failed and were put back for later.", "retried"),
)
_WAITING: Final = (
    ("queued", "waiting"),
    ("retrying", "retrying"),
    ("uncertain", "uncertain"),
    ("dead", "dead"),
)


class Metrics:
    """``now`` is aware UTC time."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._engine = _EngineCollector(now)
        self._registry.register(self._engine)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, status: EngineStatus) -> bytes:
        """The text exposition format 0.0.4."""
        self._engine.status = status
        return generate_latest(self._registry)


class _EngineCollector(Collector):
    status: EngineStatus

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not need a running engine."""
        return ()

    def collect(self) -> Iterable[Metric]:
        status = self.status
        outbound = [channel for channel in status.channels if channel.direction == "outbound"]
        yield GaugeMetricFamily(
            "carebus_engine_ready",
            "1 when store, broker and every channel are open, and new messages are taken.",
            float(status.ready),
        )
        yield GaugeMetricFamily(
            "carebus_engine_start_time_seconds",
            "When the engine started, in seconds since the epoch.",
            status.started_at.timestamp(),
        )
        yield from _counters(status)
        if status.nodes:
            yield _processes(status.nodes)
        yield from self._backlog(outbound)
        yield from _health(status.channels)

    def _backlog(self, outbound: Iterable[ChannelStatus]) -> Iterable[Metric]:
        count = GaugeMetricFamily(
            "carebus_deliveries",
            "Deliveries that are not finished, and those that need a person.",
            labels=("channel", "state"),
        )
        oldest = GaugeMetricFamily(
            "carebus_oldest_waiting_seconds",
            "Age of the oldest delivery that waits; 0 when none does.",
            labels=("channel",),
        )
        blocked = GaugeMetricFamily(
            "carebus_channel_blocked",
            "1 when the channel's queue stands still behind a held delivery.",
            labels=("channel",),
        )
        now = self._now()
        for channel in outbound:
            for state, attribute in _WAITING:
                count.add_metric((channel.name, state), getattr(channel, attribute))
            since = channel.oldest_waiting
            age = 0.0 if since is None else max(0.0, (now - since).total_seconds())
            oldest.add_metric((channel.name,), age)
            blocked.add_metric((channel.name,), float(channel.blocked))
        yield from (count, oldest, blocked)


def _counters(status: EngineStatus) -> Iterable[Metric]:
    """Of each process by itself where there are several: a counter begins anew with its process,
    and a sum over processes would fall when one ends."""
    several = ("process",) if status.nodes else ()
    counted: list[tuple[ChannelStatus, tuple[str, ...]]] = (
        [(channel, (node.name,)) for node in status.nodes for channel in node.channels]
        if status.nodes
        else [(channel, ()) for channel in status.channels]
    )
    for name, text, label, parts in _INBOUND:
        counter = CounterMetricFamily(name, text, labels=("channel", label, *several))
        for channel, process in counted:
            if channel.direction == "inbound":
                for value, attribute in parts:
                    labels = (channel.name, value, *process)
                    counter.add_metric(labels, getattr(channel, attribute))
        yield counter
    for name, text, attribute in _OUTBOUND:
        counter = CounterMetricFamily(name, text, labels=("channel", *several))
        for channel, process in counted:
            if channel.direction == "outbound":
                counter.add_metric((channel.name, *process), getattr(channel, attribute))
        yield counter


def _processes(nodes: Iterable[NodeStatus]) -> Metric:
    started = GaugeMetricFamily(
        "carebus_process_start_time_seconds",
        "Every living engine process on this store, and when it started.",
        labels=("process", "role"),
    )
    for node in nodes:
        started.add_metric((node.name, node.role), node.started_at.timestamp())
    return started


def _health(channels: Iterable[ChannelStatus]) -> Iterable[Metric]:
    alert = GaugeMetricFamily(
        "carebus_channel_alert",
        "1 for each alert of the channel's file that holds now.",
        labels=("channel", "alert"),
    )
    state = GaugeMetricFamily(
        "carebus_channel_state",
        "1 for the state the channel is in, 0 for the others.",
        labels=("channel", "direction", "state"),
    )
    error = GaugeMetricFamily(
        "carebus_channel_last_error",
        "1 for the code of the channel's last error.",
        labels=("channel", "code"),
    )
    for channel in channels:
        for one in ChannelState:
            state.add_metric(
                (channel.name, channel.direction, one.value), float(channel.state == one)
            )
        if channel.last_error is not None:
            code = channel.last_error.code
            error.add_metric((channel.name, code if _CODE.fullmatch(code) else "other"), 1.0)
        for held in channel.alerts:
            alert.add_metric((channel.name, held.value), 1.0)
    yield from (state, error, alert)
