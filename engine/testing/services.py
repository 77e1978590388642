"""What the engine lends a component, held in memory: `MemoryServices` records every log line so
that a suite can look for content that must not be there."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from uuid import uuid4

import structlog

from engine.contract import ChannelName, ConfigError, ErrorInfo, Limits, Stage

TlsContexts = Callable[[Any, bool], ssl.SSLContext]
"""Given a ``tls:`` setting and whether it is for a server."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One log line: its level, its event and everything bound to it."""

    level: str
    event: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """All of it as one string, to search in."""
        return f"{self.level} {self.event} {dict(self.values)!r}"


class MemoryServices:
    """`engine.contract.Services` for one component under test.

    ``logged`` grows with each log line of any level.  ``tls`` is called for TLS settings; without
    it, asking for a context is a ConfigError.  ``clock`` replaces the wall clock.
    """

    def __init__(
        self,
        *,
        channel: str = "under-test",
        charset: str | None = None,
        limits: Limits | None = None,
        tls: TlsContexts | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.channel = ChannelName(channel)
        self.charset = charset
        self.limits = limits or Limits()
        self.shares_port = False
        self.spool = Path(gettempdir()) / f"carebus-spool-{uuid4().hex}"
        self.logged: list[Logged] = []
        self._tls = tls
        self._clock = clock
        self.log: Any = structlog.wrap_logger(
            None,
            processors=[self._record],
            wrapper_class=structlog.make_filtering_bound_logger(0),
            context_class=dict,
            channel=channel,
        )

    def now(self) -> datetime:
        return self._clock() if self._clock else datetime.now(UTC)

    def tls(self, settings: Any, *, server: bool) -> ssl.SSLContext:
        if self._tls is None:
            raise ConfigError(
                ErrorInfo("TEST-TLS", "these services have no tls contexts", Stage.RECEIVING)
            )
        return self._tls(settings, server)

    def _record(self, _logger: Any, level: str, event: Any) -> Any:
        values = dict(event)
        self.logged.append(Logged(level, str(values.pop("event", "")), values))
        raise structlog.DropEvent
