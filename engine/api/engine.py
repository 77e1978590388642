"""What the control endpoint needs of a running engine: roles, so that neither knows the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from engine.contract import DeliveryId, MessageId, MessageStore
from engine.flow.status import EngineStatus
from engine.syntax.diagnostics import Diagnostic


class ControlledEngine(Protocol):
    """A running engine.  Called from its own event loop, concurrently."""

    @property
    def store(self) -> MessageStore: ...

    async def overview(self) -> EngineStatus:
        """The whole engine, all of its processes; this one alone while the store is away."""

    async def replay(self, delivery: DeliveryId, *, actor: str) -> Any:
        """Raises IllegalTransition, UnknownMessage or StoreUnavailable."""

    async def reroute(self, message_id: MessageId, *, actor: str) -> Any:
        """Raises IllegalTransition, UnknownMessage, FormatError, MappingError or
        StoreUnavailable."""

    async def cancel(self, delivery: DeliveryId, *, actor: str) -> Any:
        """Raises IllegalTransition, UnknownMessage or StoreUnavailable."""

    async def stop_channel(self, name: str, *, actor: str, reason: str = "") -> None:
        """In every process, also after their next start.  Raises KeyError when there is no such
        channel, StoreUnavailable."""

    async def start_channel(self, name: str) -> None:
        """Raises KeyError when there is no such channel, StoreUnavailable."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload came to.  Not ``ok``: the old configuration runs on, and why."""

    ok: bool
    version: str  # of the configuration that runs now
    diagnostics: tuple[Diagnostic, ...] = ()
    warnings: tuple[str, ...] = ()  # about what waits in the store


Reload = Callable[[str], Awaitable[Reloaded]]
"""Reads the project again and gives it to the engine, all of it or nothing; takes the actor."""
