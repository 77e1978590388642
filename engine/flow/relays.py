"""The relays of all outbound channels: one for each that runs, or one for each that is configured.

Where the broker is the process's own, a relay lives as long as its channel runs, and a commit for a
channel that is stopped is left to the store.  Where processes share the broker, this one announces
what it commits for every channel, whoever works it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from engine.config.model import Channel, Configuration
from engine.contract import (
    Broker,
    ChannelName,
    MessageStore,
    NewMessage,
    OutboxEntry,
    Stored,
)
from engine.flow.election import Election
from engine.flow.healing import Healing
from engine.flow.outbox import OutboxRelay
from engine.flow.relay import Relay
from engine.flow.shared import SharedRelay
from engine.flow.takeover import take_over


class Relays(Protocol):
    """One event loop."""

    def configure(self, configuration: Configuration, tasks: asyncio.TaskGroup) -> None:
        """Before the channels of this configuration start; those it changed have stopped."""

    def begun(self, channel: Channel) -> Relay:
        """For the workers of this channel, which start now."""

    def ended(self, name: str, relay: Relay) -> None:
        """The workers that were given this relay have stopped."""

    def committed(self, batch: Sequence[tuple[NewMessage, Stored]]) -> None:
        """As `engine.contract.Committed`."""

    def hurried(self, entry: OutboxEntry) -> None:
        """A person wants this one to be sent now, and no worker here may have it in hand."""

    def stop(self) -> None:
        """Announce nothing any more."""


def relays_of(
    store: MessageStore, broker: Broker, log: Any, healing: Election | None = None
) -> Relays:
    """``healing``: who of all processes looks for what the broker does not know of."""
    if broker.shared:
        return SharedRelays(store, broker, log, healing)
    return OwnRelays(store, broker, log)


class OwnRelays:
    """For a broker that only this process uses."""

    def __init__(self, store: MessageStore, broker: Broker, log: Any) -> None:
        self._store = store
        self._broker = broker
        self._log = log
        self._running: dict[str, OutboxRelay] = {}
        self._taking: asyncio.Task[None] | None = None

    def configure(self, configuration: Configuration, tasks: asyncio.TaskGroup) -> None:
        """A relay comes and goes with its channel; what is common to all is begun once."""
        if self._store.shared and self._taking is None:
            self._taking = tasks.create_task(take_over(self._store, self._reread, self._log))

    def _reread(self) -> None:
        for relay in self._running.values():
            relay.reread()

    def begun(self, channel: Channel) -> Relay:
        relay = self._running[channel.name] = OutboxRelay(
            ChannelName(channel.name),
            self._store,
            self._broker,
            lanes=lanes_of(channel),
            ordered=channel.ordering.kind != "none",
            holds=channel.on_uncertain == "hold",
        )
        return relay

    def ended(self, name: str, relay: Relay) -> None:
        if self._running.get(name) is relay:
            del self._running[name]

    def committed(self, batch: Sequence[tuple[NewMessage, Stored]]) -> None:
        running = self._running
        for new, stored in batch:
            for wanted, delivery in zip(new.deliveries, stored.deliveries, strict=True):
                relay = running.get(wanted.channel)
                if relay is not None:  # else: stopped; its relay reads the store when it starts
                    relay.committed(new, wanted, delivery)

    def hurried(self, entry: OutboxEntry) -> None:
        """Nothing to do: this process's workers are told."""

    def stop(self) -> None:
        """Each relay ends with its channel."""
        if self._taking is not None:
            self._taking.cancel()


class SharedRelays:
    """For a broker that other processes use too."""

    def __init__(
        self, store: MessageStore, broker: Broker, log: Any, healer: Election | None = None
    ) -> None:
        self._healer = healer
        self._store = store
        self._broker = broker
        self._log = log
        self._relays: dict[str, SharedRelay] = {}
        self._forms: dict[str, tuple[object, ...]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._healing: asyncio.Task[None] | None = None

    @property
    def all(self) -> Mapping[str, SharedRelay]:
        """By the name of the outbound channel."""
        return self._relays

    def configure(self, configuration: Configuration, tasks: asyncio.TaskGroup) -> None:
        if self._healing is None:
            healing = Healing(
                self._store, self._broker, self._relays, self._log, election=self._healer
            )
            self._healing = tasks.create_task(healing.run(), name="healing")
        wanted = {
            channel.name: channel
            for channel in configuration.channels.values()
            if channel.direction == "outbound"
        }
        for name in [name for name in self._relays if name not in wanted]:
            self._tasks.pop(name).cancel()
            del self._relays[name], self._forms[name]
        for name, channel in wanted.items():
            form = (lanes_of(channel), channel.ordering.kind, channel.on_uncertain)
            if self._forms.get(name) == form:
                continue
            if name in self._tasks:
                self._tasks[name].cancel()
            relay = SharedRelay(
                ChannelName(name),
                self._store,
                self._broker,
                self._log.bind(channel=name),
                lanes=lanes_of(channel),
                ordered=channel.ordering.kind != "none",
                holds=channel.on_uncertain == "hold",
            )
            self._relays[name], self._forms[name] = relay, form
            self._tasks[name] = tasks.create_task(relay.announce(), name=f"announce {name}")

    def begun(self, channel: Channel) -> Relay:
        return self._relays[channel.name]

    def ended(self, name: str, relay: Relay) -> None:
        """It announces on: other processes work the channel, or will."""

    def committed(self, batch: Sequence[tuple[NewMessage, Stored]]) -> None:
        relays = self._relays
        for new, stored in batch:
            for wanted, delivery in zip(new.deliveries, stored.deliveries, strict=True):
                relay = relays.get(wanted.channel)
                if relay is not None:  # else: its channel was removed while this was committed
                    relay.committed(new, wanted, delivery)

    def hurried(self, entry: OutboxEntry) -> None:
        relay = self._relays.get(entry.channel)
        if relay is not None:
            relay.rewind(replace(entry, next_at=None))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        if self._healing is not None:
            self._healing.cancel()


def lanes_of(channel: Channel) -> int:
    return channel.ordering.lanes if channel.ordering.kind == "keyed" else 1
