"""``carebus run --processes N``: one process that keeps N engine processes running.

It starts them, starts one that died again after a pause, exchanges all of them one by one without
a gap, and stops them together.  It handles no message itself, so that nothing of a hospital can
make it fail.  Each engine process is in a session of its own: what a terminal sends reaches only
the supervisor, which decides what it means.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog

from engine.cli.exits import Exit
from engine.cli.leash import READY, Leash
from engine.flow.supervision import pause

READY_WITHIN: Final = timedelta(seconds=120)
STOP_WITHIN: Final = timedelta(seconds=45)
"""Longer than a drain takes with everything that may hold it up."""
STEADY: Final = 30.0  # seconds after which a process counts as having started well

Command = Callable[[int, int, Leash], Sequence[str]]
"""The command line of engine process number N, with the one or the other (0, 1) of its two data
folders: while a process is exchanged its successor runs beside it."""


@dataclass(slots=True)
class _Member:
    """One engine process; ``life`` is held open for as long as it shall run."""

    number: int
    folder: int
    process: asyncio.subprocess.Process
    life: int
    ready: asyncio.Task[bool]

    def send(self, number: signal.Signals) -> None:
        # Not Popen's: it may reap the process, whose exit code nobody gets then.
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Supervisor:
    """`run` once; the other methods from the same event loop (`engine.cli.signals.Signalled`)."""

    def __init__(
        self,
        command: Command,
        processes: int,
        *,
        token: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._token = token
        self._environ = environ
        self._command = command
        self._members: dict[int, _Member] = {}
        self._processes = processes
        self._stopping = asyncio.Event()
        self._up: set[int] = set()  # the numbers that ran once
        self._came_up = asyncio.Event()
        self._exchanging = asyncio.Lock()
        self._tasks: asyncio.TaskGroup | None = None
        self._refused: int | None = None  # the exit code of a process that cannot start at all
        self._log: Any = structlog.get_logger("carebus.supervisor")

    async def run(self, started: Callable[[], None] = lambda: None) -> int:
        """Keep them running until `stop`; returns the exit code for this process.

        ``started`` is called once when all of them run.  A process that says before it ever ran
        that it cannot start (a wrong setting, no store) ends them all with its code.
        """
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for number in range(self._processes):
                tasks.create_task(self._keep(number), name=f"engine process {number}")
            announcing = tasks.create_task(self._announce(started))
            await self._stopping.wait()
            announcing.cancel()
        self._tasks = None
        return Exit.OK if self._refused is None else self._refused

    def stop(self, *, fast: bool) -> None:
        """Drain all, or cut off what is being sent.  May be repeated."""
        self._stopping.set()
        for member in tuple(self._members.values()):
            member.send(signal.SIGTERM)

    def hang_up(self) -> None:
        """Each reloads its project."""
        for member in tuple(self._members.values()):
            member.send(signal.SIGHUP)

    def exchange(self) -> None:
        """Start every process anew, one after the other, the new one before the old one stops."""
        if self._tasks is not None and not self._stopping.is_set():
            self._tasks.create_task(self._exchange(), name="rolling restart")

    @property
    def pids(self) -> dict[int, int]:
        """By the number of the engine process."""
        return {number: member.process.pid for number, member in self._members.items()}

    # --- one process ----------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        failures, ran = 0, False
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            since = loop.time()
            member = self._members[number] = await self._start(number, 0)
            if self._stopping.is_set():  # while it was being started
                member.send(signal.SIGTERM)
            code = await self._ended(number)
            ran = ran or bool(member.ready.done() and member.ready.result())
            if self._stopping.is_set():
                return
            if code == Exit.NOT_STARTED and not ran:
                self._refused = code
                self.stop(fast=False)
                return
            failures = 1 if loop.time() - since >= STEADY else failures + 1
            self._log.error("engine process ended", process=number, code=code, failures=failures)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause(failures)):
                    await self._stopping.wait()

    async def _ended(self, number: int) -> int:
        """When no process of this number runs any more; the last one's exit code."""
        while True:
            member = self._members[number]
            if self._stopping.is_set():
                code = await self._out(member)
            else:
                waiting = asyncio.ensure_future(member.process.wait())
                stopping = asyncio.ensure_future(self._stopping.wait())
                await asyncio.wait([waiting, stopping], return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                code = await self._out(member) if not waiting.done() else waiting.result()
                waiting.cancel()
            if self._members[number] is member:  # else it was exchanged, and its successor runs
                del self._members[number]
                await self._let_go(member)
                return code

    async def _out(self, member: _Member) -> int:
        """The exit code of a process that was told to stop; after `STOP_WITHIN` it is killed."""
        try:
            async with asyncio.timeout(STOP_WITHIN.total_seconds()):
                return await member.process.wait()
        except TimeoutError:
            self._log.error("engine process does not stop; killed", process=member.number)
            member.send(signal.SIGKILL)
            return await member.process.wait()

    async def _start(self, number: int, folder: int) -> _Member:
        life_read, life_write = os.pipe()
        ready_read, ready_write = os.pipe()
        os.write(life_write, f"{self._token}\n".encode("ascii"))
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(number, folder, Leash(life_read, ready_write)),
                env=self._environ,
                pass_fds=(life_read, ready_write),
                start_new_session=True,
            )
        except BaseException:
            os.close(life_write)
            os.close(ready_read)
            raise
        finally:
            os.close(life_read)
            os.close(ready_write)
        ready = asyncio.create_task(self._readiness(number, ready_read))
        return _Member(number, folder, process, life_write, ready)

    async def _readiness(self, number: int, descriptor: int) -> bool:
        if not await _said_ready(descriptor):
            return False
        self._up.add(number)
        self._came_up.set()
        return True

    async def _let_go(self, member: _Member) -> None:
        os.close(member.life)
        await asyncio.gather(member.ready, return_exceptions=True)

    # --- all of them ----------------------------------------------------------------------------

    async def _announce(self, started: Callable[[], None]) -> None:
        while len(self._up) < self._processes:
            await self._came_up.wait()
            self._came_up.clear()
        started()

    async def _exchange(self) -> None:
        async with self._exchanging:
            self._log.info("rolling restart", processes=self._processes)
            for number in range(self._processes):
                if not await self._exchanged(number):
                    self._log.error("rolling restart given up", process=number)
                    return
            self._log.info("rolling restart done")

    async def _exchanged(self, number: int) -> bool:
        """One process exchanged.  When the new one does not come up, the old one stays."""
        old = self._members.get(number)
        if old is None or self._stopping.is_set():
            return False  # it is being started anew as it is
        new = await self._start(number, 1 - old.folder)
        try:
            async with asyncio.timeout(READY_WITHIN.total_seconds()):
                ready = await asyncio.shield(new.ready)
        except TimeoutError:
            ready = False
        if not ready or self._stopping.is_set() or self._members.get(number) is not old:
            new.send(signal.SIGTERM)
            await self._out(new)
            await self._let_go(new)
            return False
        self._members[number] = new
        old.send(signal.SIGTERM)
        await self._out(old)
        await self._let_go(old)
        return True


async def _said_ready(descriptor: int) -> bool:
    """Whether the process said that it runs, before it ended."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bool] = loop.create_future()

    def readable() -> None:
        if not answered.done():
            answered.set_result(os.read(descriptor, len(READY)) == READY)

    os.set_blocking(descriptor, False)
    loop.add_reader(descriptor, readable)
    try:
        return await answered
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
