"""Deliveries that wait for something the configuration no longer has.  Pure.

Nothing is decided about them here.  Those of a removed channel wait on, since nobody sends them;
those of a removed route or target become DEAD at their turn.  Either is nearly always a name that
was changed while deliveries waited, so the engine says it loudly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from engine.config.model import Configuration
from engine.contract import ChannelName, ErrorInfo, Stage, Waiting


@dataclass(frozen=True, slots=True)
class Orphans:
    """``count`` deliveries; ``route`` and ``target`` are empty when their whole channel is gone."""

    channel: ChannelName
    route: str
    target: str
    count: int

    def __str__(self) -> str:
        if not self.route:
            return (
                f"{self.count} deliveries wait for channel {self.channel}, which is no longer"
                " configured: configure it again, or cancel them"
            )
        return (
            f"{self.count} deliveries to {self.channel} wait for target {self.target} of route"
            f" {self.route}, which is no longer configured: they become dead at their turn"
        )


def orphans(waiting: Iterable[Waiting], configuration: Configuration) -> tuple[Orphans, ...]:
    """Sorted; removed channels first."""
    known = {
        (origin, route.name, target.name)
        for route in configuration.routes
        for origin in route.origins
        for target in route.targets
    }
    found: Counter[tuple[str, str, ChannelName]] = Counter()
    for row in waiting:
        channel = configuration.channels.get(row.channel)
        if channel is None or channel.direction != "outbound":
            found["", "", row.channel] += row.count
        elif (row.source, row.route, row.target) not in known:
            found[row.route, row.target, row.channel] += row.count
    return tuple(
        Orphans(channel, route, target, count)
        for (route, target, channel), count in sorted(found.items())
    )


REMOVED = ErrorInfo(
    "FLOW-REMOVED",
    "no longer configured: configure it again, or cancel its deliveries",
    Stage.ROUTING,
    help="carebus messages --channel NAME --state queued shows them",
)
