"""Which targets a message goes to, and in which lane.  Pure: values in, values out."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.config.model import Channel, Configuration, Ordering, Route, Target
from engine.contract import (
    ChannelName,
    Document,
    ErrorInfo,
    MapContext,
    MappingError,
    NewDelivery,
)

_KeyOf = Callable[[Document, MapContext, Mapping[str, str]], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one route judged a message: for `carebus route` and the record."""

    route: Route
    matched: bool
    targets: tuple[Target, ...] = ()
    error: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a message goes.  ``error`` is the first condition that could not be evaluated; the
    other routes are judged all the same, since one bad route must not stop its neighbours."""

    deliveries: tuple[NewDelivery, ...]
    error: ErrorInfo | None = None


class Router:
    """The routes of one inbound channel, prepared once.  Immutable."""

    __slots__ = ("_keys", "_routes", "_simple", "_verdicts")

    def __init__(self, configuration: Configuration, channel: str) -> None:
        self._routes = configuration.routes_from(channel)
        outbound = configuration.channels
        self._keys = {
            (route.name, target.name): _lane_of(outbound[target.channel])
            for route in self._routes
            for target in route.targets
        }

    def verdicts(self, document: Document, context: MapContext) -> tuple[Verdict, ...]:
        """One for each route of the channel, in the order of routes.yaml."""
        return tuple(_judge(route, document, context) for route in self._routes)

    def plan(self, document: Document, context: MapContext, keys: Mapping[str, str]) -> Plan:
        """``keys`` are the message's index values (patient, visit …), for keyed ordering."""
        deliveries: list[NewDelivery] = []
        error: ErrorInfo | None = None
        for route in self._routes:
            verdict = _judge(route, document, context)
            error = error or verdict.error
            for target in verdict.targets:
                lanes, key_of = self._keys[route.name, target.name]
                try:
                    key = key_of(document, context, keys) if key_of else None
                except MappingError as failure:  # taken all the same, as one without a key
                    key, error = "", error or failure.info
                key_hash = 0 if key is None else zlib.crc32(key.encode())
                deliveries.append(
                    NewDelivery(
                        route.name,
                        target.name,
                        ChannelName(target.channel),
                        key_hash % lanes,
                        key_hash,
                    )
                )
        return Plan(tuple(deliveries), error)


def _judge(route: Route, document: Document, context: MapContext) -> Verdict:
    try:
        if route.when is not None and not route.when.test(document, context):
            return Verdict(route, False)
        return Verdict(
            route,
            True,
            tuple(
                target
                for target in route.targets
                if target.when is None or target.when.test(document, context)
            ),
        )
    except MappingError as error:
        return Verdict(route, False, error=error.info)


def _lane_of(channel: Channel) -> tuple[int, _KeyOf | None]:
    ordering: Ordering = channel.ordering
    if ordering.kind != "keyed":
        return 1, None
    expression = ordering.key_expression
    if expression is not None:
        return ordering.lanes, lambda document, context, _: expression.text(document, context) or ""
    name = ordering.key or ""
    return ordering.lanes, lambda _document, _context, keys: keys.get(name, "")
