"""The checked, compiled configuration: what `load` gives and the flow runs.

Everything is immutable and safe to share.  A version is a content hash: equal versions behave
alike, and secrets go into it as their references, never as their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from engine.contract import ConnectorSpec, Format, Limits, Role
from engine.syntax import Diagnostic

if TYPE_CHECKING:
    from engine.formats.delimited import Layout
    from engine.formats.hl7v2.grouping import Structure
    from engine.formats.validators import Validator
    from engine.mapping import CompiledMapping, Expression

Direction = Literal["inbound", "outbound"]


@dataclass(frozen=True, slots=True)
class Ordering:
    """Which deliveries of one outbound channel keep their order.

    ``strict``: all of them, one at a time.  ``keyed``: those with the same key; ``lanes`` run side
    by side.  ``none``: ``concurrency`` at once, in no order.
    """

    kind: Literal["strict", "keyed", "none"] = "strict"
    key: str | None = None  # the name of an index key of the inbound channels …
    key_expression: Expression | None = None  # … or a path of theirs
    lanes: int = 1
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``first``, then ``factor`` times as long each time, at most ``max``; each wait is spread by
    ± ``jitter`` (a fraction).  ``give_up`` counts the waits; None tries for ever."""

    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    max: timedelta = timedelta(minutes=5)
    give_up: timedelta | None = timedelta(days=3)
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Two messages with equal values of all ``key`` expressions within this time are one."""

    key: tuple[Expression, ...]
    within: timedelta


@dataclass(frozen=True, slots=True)
class Alerts:
    """What an administrator is told about; None: never."""

    queue_over: int | None = None
    oldest_over: timedelta | None = None
    idle_over: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Validation:
    """Strict validation: of what an inbound channel takes, of what mappings made for an outbound
    one.  ``warn`` records what was found and goes on."""

    level: Literal["warn", "reject"]
    validator: Validator


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what has finished stays in the store."""

    content: timedelta = timedelta(days=90)
    events: timedelta = timedelta(days=3 * 365)


@dataclass(frozen=True, slots=True)
class Channel:
    """One endpoint of one hospital system.  The file's name is the channel's."""

    name: str
    system: str
    direction: Direction
    spec: ConnectorSpec
    role: Role  # the side of ``spec`` that this channel uses
    settings: BaseModel = field(repr=False)  # secrets are filled in
    format: Format
    version: str
    location: str  # channels/his-adt.yaml:1:1
    charset: str | None = None
    timezone: str | None = None
    certificates: str = ""  # content hash of the files that its TLS settings name, as loaded
    alerts: Alerts = Alerts()
    validation: Validation | None = None  # None: off
    # inbound
    acknowledge: Literal["accepted", "delivered"] = "accepted"
    duplicates: DuplicateRule | None = None
    unrouted: Literal["error", "ignore"] = "error"
    limits: Limits = field(default_factory=Limits)
    keep: Keep = Keep()
    index: Mapping[str, Expression] = field(default_factory=dict)
    structures: Mapping[str, Structure] = field(default_factory=dict)
    layout: Layout | None = None  # of its tables, for expressions; None: commas and a header
    # outbound
    ordering: Ordering = Ordering()
    retry: RetryPolicy = RetryPolicy()
    on_uncertain: Literal["hold", "retry"] = "hold"


@dataclass(frozen=True, slots=True)
class Target:
    """One outbound channel of a route.  Without a mapping, the bytes are passed on untouched."""

    name: str  # unique within its route; the channel's name unless the file says otherwise
    channel: str
    mapping: CompiledMapping | None = None
    when: Expression | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)  # may hold secrets


@dataclass(frozen=True, slots=True)
class Route:
    """Which messages of which inbound channels go to which targets."""

    name: str
    origins: tuple[str, ...]
    when: Expression | None
    targets: tuple[Target, ...]
    version: str  # of the route alone; each mapping has its own
    location: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """One whole project, ready to run."""

    root: Path
    channels: Mapping[str, Channel]
    routes: tuple[Route, ...]
    mappings: Mapping[str, CompiledMapping]
    version: str
    tls: Mapping[str, Any] = field(default_factory=dict, repr=False)  # profiles: TlsSettings
    _by_origin: Mapping[str, tuple[Route, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_origin: dict[str, list[Route]] = {}
        for route in self.routes:
            for origin in route.origins:
                by_origin.setdefault(origin, []).append(route)
        frozen = MappingProxyType({name: tuple(routes) for name, routes in by_origin.items()})
        object.__setattr__(self, "_by_origin", frozen)

    def prepare(self) -> None:
        """Make what the mappings of the routes run, 0.1 s for each, so that no message waits for
        it.  May be called in a thread."""
        for route in self.routes:
            for target in route.targets:
                if target.mapping is not None:
                    target.mapping.prepare()

    def routes_from(self, channel: str) -> tuple[Route, ...]:
        """In the order of routes.yaml; empty for a channel without routes."""
        return self._by_origin.get(channel, ())


@dataclass(frozen=True, slots=True)
class Loaded:
    """``configuration`` is None exactly when a diagnostic is an error."""

    configuration: Configuration | None
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, str] = field(repr=False)  # file → text, for showing diagnostics
