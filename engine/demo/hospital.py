"""The simulated hospital around the real engine: systems, senders, the child process, the end.

`Hospital.run` starts everything, starts the engine again whenever it ends, and at the end stops
the senders, waits for what is still under way and says what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from engine.api.client import ControlClient, Refusal, Unreachable
from engine.demo.account import Account, SenderAccount
from engine.demo.child import EngineChild, EngineEnded
from engine.demo.emr import Emr
from engine.demo.project import Ports
from engine.demo.samples import ADMISSIONS, RESULTS, load_samples, run_prefix, stream
from engine.demo.sender import Outgoing, SendingSystem
from engine.demo.ward import Ward
from engine.flow.status import EngineStatus

_QUIET_SECONDS = 20.0
_STOP = timedelta(seconds=15)
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """``rate``: messages a second of HIS and LIS together.  ``seconds`` None: until stopped.
    ``kill``: the demo itself kills the engine once, at half time."""

    project: Path
    data: Path
    ports: Ports
    corpora: Path | None
    rate: float
    seconds: float | None
    kill: bool


@dataclass(frozen=True, slots=True)
class Received:
    """What became of the messages for one receiving system."""

    name: str
    acknowledged: int
    delivered: int
    duplicates: int
    lost: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The end of a run.  ``starts``: how often the engine was started."""

    sent: int
    repeated: int
    acknowledged: int
    refused: int
    receivers: tuple[Received, ...]
    starts: int
    dead: int

    @property
    def lost(self) -> int:
        """Deliveries that were promised and not made."""
        return sum(receiver.lost for receiver in self.receivers)


class View(Protocol):
    """Who shows the run; called on the event loop, must not block for long."""

    def show(self, hospital: Hospital, status: EngineStatus | None) -> None:
        """Called about twice a second; ``status`` None: the engine does not answer now."""

    def say(self, text: str) -> None:
        """Something happened."""


class Hospital:
    """One run.  Its accounts may be read at any moment."""

    def __init__(self, plan: Plan, view: View) -> None:
        self.plan = plan
        self.engine = EngineChild(
            plan.project, plan.data, log=plan.data / "engine.log", listen=plan.ports.control
        )
        prefix = run_prefix()
        self.emr = Account("EMR (FHIR)", prefix)
        self.ward = Account("ward (HL7)", prefix)
        self.his = SenderAccount("HIS", [self.emr])
        self.lis = SenderAccount("LIS", [self.emr, self.ward])
        self._prefix = prefix
        self._view = view
        self._status: EngineStatus | None = None

    async def run(self, stop: asyncio.Event) -> Summary:
        """Run until ``stop`` is set or the plan's time is over.

        Raises EngineEnded when the engine does not come up, OSError when a port is taken."""
        plan = self.plan
        async with (
            Emr(plan.ports.emr, self.emr.arrive),
            Ward(plan.ports.ward, self.ward.arrive),
            self.engine,
        ):
            await self.engine.start()
            await self.engine.ready()
            self._view.say(f"the engine runs, process {self.engine.pid}")
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(self._keep_running()),
                    tasks.create_task(self._keep_showing()),
                ]
                await self._send_until(stop)
                await self._drain()
                for task in watching:
                    task.cancel()
            await self.engine.stop(_STOP)
        return self._summary(self._dead())

    async def _send_until(self, stop: asyncio.Event) -> None:
        plan = self.plan
        systems = [
            SendingSystem(port, messages, journal, rate=plan.rate / 2)
            for port, messages, journal in (
                (plan.ports.his, self._messages(ADMISSIONS, "H"), self.his),
                (plan.ports.lis, self._messages(RESULTS, "L"), self.lis),
            )
        ]
        async with asyncio.TaskGroup() as tasks:
            sending = [tasks.create_task(system.run()) for system in systems]
            if plan.kill and plan.seconds is not None:
                await _wait(stop, plan.seconds / 2)
                self._view.say(f"the demo kills the engine now: kill -9 {self.engine.pid}")
                await self.engine.kill()
                await _wait(stop, plan.seconds / 2)
            else:
                await _wait(stop, plan.seconds)
            for system in systems:
                system.stop()
            _, late = await asyncio.wait(sending, timeout=_STOP.total_seconds())
            for task in late:  # its last message was never acknowledged, so nothing was promised
                task.cancel()

    def _messages(self, types: frozenset[str], system: str) -> Iterator[Outgoing]:
        return stream(load_samples(self.plan.corpora, types), self._prefix, system)

    async def _drain(self) -> None:
        """Wait until everything acknowledged arrived, or until nothing has arrived for a while:
        then the rest is lost, or dead."""
        missing = -1
        while missing:
            before, missing = missing, self.emr.missing + self.ward.missing
            if missing != before:
                quiet = asyncio.get_running_loop().time() + _QUIET_SECONDS
            elif asyncio.get_running_loop().time() > quiet:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _dead(self) -> int:
        return sum(channel.dead for channel in self._status.channels) if self._status else 0

    async def _keep_running(self) -> None:
        """Start the engine again whenever somebody ends it.  Raises EngineEnded when it gives up
        by itself."""
        while True:
            status = await self.engine.gone() or 0
            if status > 0:
                raise EngineEnded(self.engine.last_words())
            how = f"was killed by signal {-status}" if status else "was stopped"
            self._view.say(f"the engine {how}; it is started again")
            await self.engine.start()
            with contextlib.suppress(EngineEnded):  # killed again while it started
                await self.engine.ready()
                self._view.say(f"the engine runs again, process {self.engine.pid}")

    async def _keep_showing(self) -> None:
        while True:
            status = await self.engine.status()
            self._status = status or self._status
            self._view.show(self, status)
            if status is not None and any(channel.uncertain for channel in status.channels):
                await self._decide()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _decide(self) -> None:
        """What a person does about deliveries with an unknown outcome: the engine was killed while
        it sent to the ward, which does not notice a second copy, so it waits to be told."""
        client = ControlClient(self.plan.data, actor="demo")
        try:
            done = await asyncio.to_thread(
                client.replay_many, {"state": "uncertain"}, dry_run=False
            )
        except (Unreachable, Refusal):
            return  # killed again; the next look finds them
        if done["deliveries"]:  # the status may be a few seconds old, and they done already
            self._view.say(
                "the outcome of a message to the ward was unknown after the kill; the demo sends "
                "it again, as a person would: carebus replay --state uncertain"
            )

    def _summary(self, dead: int) -> Summary:
        senders = (self.his, self.lis)
        return Summary(
            sent=sum(sender.sent for sender in senders),
            repeated=sum(sender.repeated for sender in senders),
            acknowledged=sum(sender.answered for sender in senders),
            refused=sum(sender.refusals for sender in senders),
            receivers=tuple(
                Received(
                    account.name,
                    account.acknowledged,
                    account.delivered,
                    account.duplicates,
                    account.missing,
                )
                for account in (self.emr, self.ward)
            ),
            starts=self.engine.starts,
            dead=dead,
        )


async def _wait(stop: asyncio.Event, seconds: float | None) -> None:
    """Return when ``stop`` is set or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
