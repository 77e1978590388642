"""The running engine: one configuration at work, exchanged as a whole, drained as a whole.

`Engine.run` owns every task.  Channels are supervised one by one: what fails in one is shown there,
tried again with back-off, and harms no other.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from engine.config.changes import diff
from engine.config.model import Channel, Configuration
from engine.contract import (
    Broker,
    BrokerError,
    ChannelName,
    DeliveryId,
    ErrorInfo,
    Halt,
    IllegalTransition,
    MessageId,
    MessageStore,
    Notice,
    OutboxEntry,
    Stage,
    State,
    StoreError,
)
from engine.flow.alerts import Alert
from engine.flow.awaited import Awaited
from engine.flow.cache import MessageCache
from engine.flow.cluster import Node, joined, shown
from engine.flow.counts import InboundCounts, OutboundCounts
from engine.flow.dispatch import Bound
from engine.flow.election import Election, Leases
from engine.flow.housekeeping import Housekeeping
from engine.flow.ids import MessageIds
from engine.flow.inbound import InboundChannel
from engine.flow.intake import Intake
from engine.flow.members import Members, outlive
from engine.flow.orphans import Orphans, orphans
from engine.flow.outbound import OutboundChannel
from engine.flow.pressure import PressureLimits
from engine.flow.relays import relays_of
from engine.flow.rerouting import planned_again
from engine.flow.services import ChannelServices
from engine.flow.status import EngineStatus
from engine.flow.supervision import defect, pause
from engine.flow.survey import survey

DRAIN_GRACE = timedelta(seconds=15)
LOOK_AGAIN = timedelta(seconds=2)
"""How soon a lane sees what a person decided in another process about the delivery it holds."""

FOLLOW = timedelta(seconds=5)
"""How soon a process stops a channel that was stopped in another one whose word was lost."""

EngineRole = Literal["all", "sources", "workers"]

_AnyChannel = InboundChannel | OutboundChannel
_DIRECTIONS: Final[Mapping[EngineRole, frozenset[str]]] = {
    "all": frozenset({"inbound", "outbound"}),
    "sources": frozenset({"inbound"}),
    "workers": frozenset({"outbound"}),
}


@dataclass(slots=True)
class _Running:
    channel: _AnyChannel
    task: asyncio.Task[None]


class Engine:
    """One engine process.  `run` once; everything else from the same event loop, while it runs.

    ``store`` and ``broker`` are opened and closed by `run`.  ``role`` says which channels run here;
    the others run in other processes with the same store and broker.  ``shares_port``: they listen
    on the same ports.  With ``leases``, a source that only one process may run is elected; with
    ``members``, the status is that of all processes on the store.  ``data``: where connectors may
    keep what has not arrived whole.
    """

    def __init__(
        self,
        configuration: Configuration,
        store: MessageStore,
        broker: Broker,
        *,
        limits: PressureLimits | None = None,
        role: EngineRole = "all",
        shares_port: bool = False,
        leases: Leases | None = None,
        data: Path = Path("var"),
        members: Members | None = None,
    ) -> None:
        self.store = store
        self.configuration = configuration
        self.started_at = datetime.now(UTC)
        self._broker = broker
        self._role = role
        self._direction = _DIRECTIONS[role]
        self._shares_port = shares_port
        self._data = data
        self._leases = leases
        self._members = members
        self._name = uuid.uuid4().hex
        self._log: Any = structlog.get_logger("carebus.flow")
        self._cache = MessageCache()
        self._ids = MessageIds()
        healer = None if leases is None else Election(leases, "healing", self._name, self._log)
        self._relays = relays_of(store, broker, self._log, healer)
        self._awaited = Awaited()
        self._bound: dict[tuple[str, str, str], Bound] = _bindings(configuration)
        self._inbound: dict[str, InboundChannel] = {}
        self._outbound: dict[str, OutboundChannel] = {}
        self._running: dict[str, _Running] = {}
        self._counts: dict[str, InboundCounts | OutboundCounts] = {}
        self._halts: dict[str, Halt] = {}  # stopped by a person, as the store says
        self._told = asyncio.Event()  # perhaps the store says something else by now
        self._alerts: set[tuple[str, Alert]] = set()
        self._stop = asyncio.Event()
        self._fast = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._reloading = asyncio.Lock()
        self._housekeeping = Housekeeping(
            store,
            lambda: self.configuration,
            self._sample,
            self._log,
            limits=limits or PressureLimits(),
        )

    # --- life ---------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Open everything, work until `request_stop`, drain, close everything.

        ``started`` is called once every channel has been told to open.  Raises StoreUnavailable
        when the store cannot be opened; a channel that cannot be opened is only shown.
        """
        self.store.listen(self._noticed)
        if self._members is not None:
            self._members.describe = self._shown
        await self.store.open()
        try:
            await self._broker.open()
            if not self._broker.shared:  # else others may be at work: whoever takes a lane looks
                recovered = await self.store.recover()
                if any(recovered.values()):
                    self._log.warning("recovered after an unclean stop", **recovered)
            self.store.subscribe(self._relays.committed)
            self._halts = {str(each.channel): each for each in await self.store.halted()}
            await self._housekeeping.measure()
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._relays.configure(self.configuration, tasks)
                housekeeping = tasks.create_task(self._housekeeping.run())
                await self._begin(self.configuration.channels.values())
                started()
                others: list[asyncio.Task[Any]] = [
                    tasks.create_task(self._orphans(self.configuration))
                ]
                if self.store.shared:
                    others.append(tasks.create_task(self._follow()))
                if self._members is not None and self._broker.shared:
                    others.append(tasks.create_task(outlive(self._members, self._log)))
                await self._stop.wait()
                for task in others:
                    task.cancel()
                await self._drain()
                self._relays.stop()
                housekeeping.cancel()
        finally:
            self._tasks = None
            await self._broker.close(DRAIN_GRACE)
            await self.store.close(DRAIN_GRACE)

    def request_stop(self, *, fast: bool = False) -> None:
        """Drain and end `run`; ``fast`` cuts sends off that are under way.  May be repeated."""
        self._stop.set()
        if fast:
            self._fast.set()

    async def reload(self, configuration: Configuration) -> tuple[Orphans, ...]:
        """Exchange the configuration as a whole.

        Channels whose files did not change keep their connections; their routes and mappings are
        exchanged between two messages.  Returns when every changed channel was restarted, with
        what waits for something that is no longer configured.
        """
        async with self._reloading:
            change = diff(self.configuration, configuration)
            found = await self._orphans(configuration)  # while all of them wait still
            new = configuration.channels
            stopping = [*change.removed, *change.changed]
            self.configuration = configuration
            self._bound = _bindings(configuration)
            for name, inbound in self._inbound.items():
                if name not in stopping:
                    inbound.intake = self._intake(new[name], inbound.counts)
            await self._end(stopping)
            if self._tasks is not None:
                self._relays.configure(configuration, self._tasks)
            for name in change.removed:
                self._counts.pop(name, None)
            await self._begin([new[name] for name in (*change.changed, *change.added)])
            self._log.info(
                "configuration reloaded",
                version=configuration.version,
                added=change.added,
                changed=change.changed,
                removed=change.removed,
                routes=change.routes,
            )
            return found

    async def stop_channel(self, name: str, *, actor: str, reason: str = "") -> None:
        """Stop one channel in all processes until `start_channel`, also after a restart; nothing is
        lost, its deliveries wait.  Returns when it stopped in this one.

        Raises KeyError when there is no such channel, StoreUnavailable.
        """
        channel = self.configuration.channels[name]
        await self.store.halt(ChannelName(channel.name), actor=actor, reason=reason)
        await self._obey()

    async def start_channel(self, name: str) -> None:
        """Start a stopped channel.  Raises KeyError when there is no such channel,
        StoreUnavailable."""
        channel = self.configuration.channels[name]
        await self.store.resume(ChannelName(channel.name))
        await self._obey()

    async def _obey(self) -> None:
        """Stop and start what persons decided, here or elsewhere.  Raises StoreUnavailable."""
        async with self._reloading:
            halts = {str(each.channel): each for each in await self.store.halted()}
            before, self._halts = self._halts, halts
            await self._end([name for name in halts if name in self._running])
            channels = self.configuration.channels
            started = [channels[name] for name in before if name in channels and name not in halts]
            await self._begin([each for each in started if each.name not in self._running])

    async def _follow(self) -> None:
        """Whatever other processes were told: soon when they say so, else within `FOLLOW`."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FOLLOW.total_seconds()):
                    await self._told.wait()
            self._told.clear()
            try:
                await self._obey()
            except StoreError as error:
                self._log.error("stopped channels not read", code=error.info.code)

    def _noticed(self, notice: Notice) -> None:
        """A person decided something by way of another process."""
        if notice.delivery is None:
            self._told.set()
        if notice.channel is None:
            for each in self._outbound.values():
                each.decided_elsewhere(None)
        elif (outbound := self._outbound.get(notice.channel)) is not None:
            outbound.decided_elsewhere(notice.delivery)

    def status(self) -> EngineStatus:
        """A picture of this moment; the backlog in it is at most a few seconds old."""
        return survey(
            self.configuration,
            started_at=self.started_at,
            inbound=self._inbound,
            outbound=self._outbound,
            backlog=self._housekeeping.backlog,
            refusing=self._housekeeping.refused,
            now=datetime.now(UTC),
            elsewhere=_DIRECTIONS["all"] - self._direction,
            halts=self._halts,
        )

    async def overview(self) -> EngineStatus:
        """The picture of all processes on the store; of this one alone where there are no others,
        and while the store does not answer."""
        own = self.status()
        if self._members is None:
            return own
        try:
            rows = await self._members.shown()
        except StoreError:
            return own
        nodes = [
            Node(number, name, _moment(started), _moment(beat), said)
            for number, name, started, beat, said in rows
        ]
        return joined(own, nodes, self._members.node, self._role)

    def _shown(self) -> str:
        return shown(self.status(), self._role, {**self._inbound, **self._outbound})

    async def _orphans(self, configuration: Configuration) -> tuple[Orphans, ...]:
        """Look for deliveries that have no place in this configuration, and warn of them."""
        try:
            found = orphans(await self.store.waiting(), configuration)
        except StoreError as error:
            self._log.error("waiting deliveries not read", code=error.info.code)
            return ()
        for each in found:
            self._log.warning(
                "deliveries wait for what is not configured",
                channel=each.channel,
                route=each.route,
                target=each.target,
                count=each.count,
            )
        return found

    # --- what a person does to a delivery -----------------------------------------------------

    async def replay(self, delivery: DeliveryId, *, actor: str) -> None:
        """Send it (again), through the mapping deployed now.

        A delivery that waits for a retry is tried at once.  Raises UnknownMessage.
        """
        before = await self.store.delivery(delivery)
        if before is not None and before.state is not State.UNCERTAIN:
            outbound = self._outbound.get(before.channel)
            if before.state is State.RETRYING:
                with suppress(IllegalTransition):  # it is being tried at this moment
                    self._relays.hurried(await self.store.hurry(delivery))
            if outbound is not None:
                outbound.decisions.hurry(delivery)
            return
        entry = await self.store.replay(delivery, actor=actor)
        self._decided(entry.channel, delivery, entry)

    async def cancel(self, delivery: DeliveryId, *, actor: str) -> None:
        """Never send it.  Raises IllegalTransition when it was sent, or is being sent now."""
        before = await self.store.delivery(delivery)
        outbound = None if before is None else self._outbound.get(before.channel)
        if outbound is None:
            await self.store.cancel(delivery, actor=actor)
            return
        async with outbound.decisions.taking(delivery):
            if outbound.is_sending(delivery):
                raise IllegalTransition(_SENDING_NOW)
            await self.store.cancel(delivery, actor=actor)
            outbound.decided(delivery, None)

    async def reroute(self, message_id: MessageId, *, actor: str) -> None:
        """Route an UNROUTED or FILTERED message again, with what is configured now.

        Raises IllegalTransition (also when still no route wants it), UnknownMessage, FormatError,
        MappingError.
        """
        message = await self.store.load(message_id)
        configuration = self.configuration
        entries = await self.store.reroute(
            message_id,
            planned_again(message, configuration),
            actor=actor,
            config_version=configuration.version,
        )
        for entry in entries:
            self._decided(entry.channel, entry.delivery, entry)

    def _decided(self, channel: str, delivery: DeliveryId, entry: OutboxEntry) -> None:
        outbound = self._outbound.get(channel)
        if outbound is not None:
            outbound.decided(delivery, entry)
            outbound.decisions.wake(delivery)
        else:  # it runs elsewhere
            self._relays.hurried(entry)

    # --- channels -----------------------------------------------------------------------------

    async def _begin(self, channels: Iterable[Channel]) -> None:
        """Start these, destinations first, so that what comes in can go out."""
        for channel in sorted(channels, key=lambda channel: channel.direction == "inbound"):
            if channel.name in self._halts or self._tasks is None:
                continue
            if channel.direction not in self._direction:
                continue
            handle = self._built(channel)
            task = self._tasks.create_task(self._supervise(handle), name=channel.name)
            self._running[channel.name] = _Running(handle, task)

    async def _end(self, names: Sequence[str]) -> None:
        """Stop these: sources first, then destinations once their sends under way have ended."""
        running = [self._running.pop(name) for name in names if name in self._running]
        inbound = [each.task for each in running if isinstance(each.channel, InboundChannel)]
        await _cancelled(inbound)
        outbound = [each.channel for each in running if isinstance(each.channel, OutboundChannel)]
        await asyncio.gather(*map(self._quiesced, outbound))
        await _cancelled([each.task for each in running])

    async def _quiesced(self, outbound: OutboundChannel) -> None:
        """Sends under way end by themselves, unless somebody wants to be fast."""
        quiet = asyncio.ensure_future(outbound.quiesce(DRAIN_GRACE))
        fast = asyncio.ensure_future(self._fast.wait())
        await asyncio.wait([quiet, fast], return_when=asyncio.FIRST_COMPLETED)
        for future in (quiet, fast):
            future.cancel()
        await asyncio.gather(quiet, fast, return_exceptions=True)

    async def _drain(self) -> None:
        self._log.info("draining")
        async with self._reloading:
            await self._end(list(self._running))
        self._log.info("drained")

    def _built(self, channel: Channel) -> _AnyChannel:
        services = ChannelServices(
            channel,
            self.configuration.tls,
            self.configuration.root,
            shares_port=self._shares_port,
            data=self._data,
        )
        plug_in = channel.role.create(channel.settings, services)
        if channel.direction == "inbound":
            received = self._counted(channel.name, InboundCounts)
            inbound = InboundChannel(
                channel,
                plug_in,
                self._intake(channel, received),
                received,
                services.log,
                election=self._election(channel, services.log),
            )
            self._inbound[channel.name] = inbound
            return inbound
        outbound = OutboundChannel(
            channel,
            plug_in,
            store=self.store,
            relay=self._relays.begun(channel),
            cache=self._cache,
            counts=self._counted(channel.name, OutboundCounts),
            bind=self._bind,
            finished=self._awaited.finished,
            look_again=LOOK_AGAIN if self._broker.shared else None,
            log=services.log,
        )
        self._outbound[channel.name] = outbound
        return outbound

    def _election(self, channel: Channel, log: Any) -> Election | None:
        if self._leases is None or not channel.role.capabilities.single:
            return None
        return Election(self._leases, f"source/{channel.name}", self._name, log)

    def _counted(self, name: str, kind: type[Any]) -> Any:
        """A channel keeps its counts when it is restarted."""
        counts = self._counts.get(name)
        if not isinstance(counts, kind):
            counts = self._counts[name] = kind()
        return counts

    def _intake(self, channel: Channel, counts: InboundCounts) -> Intake:
        return Intake(
            self.configuration,
            channel,
            store=self.store,
            cache=self._cache,
            counts=counts,
            ids=self._ids,
            refusal=lambda: self._housekeeping.refused,
            awaiting=self._awaited.expect,
            log=structlog.get_logger("carebus.intake").bind(channel=channel.name),
        )

    async def _supervise(self, handle: _AnyChannel) -> None:
        """Run one channel until it is cancelled; after a defect, show it and begin again."""
        failures = 0
        try:
            while True:
                try:
                    await handle.run()
                    return
                except (BrokerError, StoreError) as error:
                    failures += 1
                    handle.health.failed(error.info)
                    self._log.warning(
                        "channel not started",
                        channel=handle.channel.name,
                        code=error.info.code,
                        summary=error.info.summary,
                    )
                except Exception as error:  # supervised boundary: a defect stays in its channel
                    failures += 1
                    self._log.exception("channel failed by a defect", channel=handle.channel.name)
                    handle.health.failed(defect(error, Stage.STARTING))
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    return  # told to stop, and the defect was on the way out
                await asyncio.sleep(pause(failures))
        finally:
            handle.health.stopped()
            if self._inbound.get(handle.channel.name) is handle:
                del self._inbound[handle.channel.name]
            if isinstance(handle, OutboundChannel):
                self._relays.ended(handle.channel.name, handle.relay)
            if self._outbound.get(handle.channel.name) is handle:
                del self._outbound[handle.channel.name]

    # --- on the path of a message -------------------------------------------------------------

    def _bind(self, route: str, target: str, source: str) -> Bound | None:
        return self._bound.get((route, target, source))

    def _sample(self) -> None:
        """Once a second: rates, and alerts that begin or end."""
        now = datetime.now(UTC)
        for inbound in self._inbound.values():
            inbound.counts.rate.sample(inbound.counts.received, now)
        for outbound in self._outbound.values():
            outbound.counts.rate.sample(outbound.counts.sent, now)
        alerts = {(each.name, alert) for each in self.status().channels for alert in each.alerts}
        for channel, alert in sorted(alerts - self._alerts):
            self._log.warning("alert", channel=channel, alert=alert.value)
        for channel, alert in sorted(self._alerts - alerts):
            self._log.warning("alert over", channel=channel, alert=alert.value)
        self._alerts = alerts


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _bindings(configuration: Configuration) -> dict[tuple[str, str, str], Bound]:
    return {
        (route.name, target.name, origin): Bound(route, target, configuration.channels[origin])
        for route in configuration.routes
        for origin in route.origins
        for target in route.targets
    }


_SENDING_NOW = ErrorInfo(
    "FLOW-SENDING",
    "this delivery is being sent at this moment",
    Stage.SENDING,
    help="look at its state again in a moment",
)
