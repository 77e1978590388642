"""The processes of a measurement: the engine, the load and the sink, each its own, all loopback.

Everything is ended by whoever started it, by its own handle, and everything has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]

from bench.project import REPOSITORY, LoadProject, write_project
from engine.demo.child import EngineChild, free_ports

_ANSWER_SECONDS = 30.0


class SinkProcess:
    """`bench.sinks` as a process, told what to do line by line."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.sinks",
            self._kind,
            cwd=REPOSITORY,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def command(self, line: str) -> dict[str, Any]:
        """Send one line and return its answer."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer: dict[str, Any] = json.loads(await process.stdout.readline())
        return answer

    async def taken(self) -> int:
        return int((await self.command("stats"))["taken"])

    async def numbers(self, folder: Path) -> array[int]:
        """What it took, in the order of arrival."""
        file = folder / "taken"
        await self.command(f"record {file}")
        numbers = array("q")
        numbers.frombytes(file.read_bytes())
        return numbers


@dataclass(frozen=True, slots=True)
class Usage:
    """Of the engine's process and its children at one moment."""

    cpu_seconds: float
    rss: int  # bytes


@dataclass(frozen=True, slots=True)
class Moment:
    """One sample of a watched run."""

    seconds: float  # since the watch began
    rss: int
    waiting: int  # deliveries, -1 when the engine did not say


class Rig:
    """A running engine on a project of its own, and its sink."""

    def __init__(self, project: LoadProject, engine: EngineChild, sink: SinkProcess) -> None:
        self.project = project
        self.engine = engine
        self.sink = sink

    def usage(self) -> Usage:
        return usage_of(self.engine.pid)

    async def load(self, **options: object) -> dict[str, Any]:
        """Run the generator to its end; what it printed.  Raises RuntimeError when it fails."""
        arguments = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.generator",
            "--port",
            str(self.project.intake),
            *arguments,
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            printed, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise RuntimeError("the load generator failed")
        result: dict[str, Any] = json.loads(printed)
        return result

    async def waiting(self) -> int:
        """Deliveries that are not finished; -1 when the engine does not say."""
        status = await self.engine.status()
        if status is None:
            return -1
        return sum(channel.waiting + channel.retrying for channel in status.channels)

    async def drained(self, expected: int, within: timedelta) -> None:
        """Return when the sink has ``expected`` different messages.  Raises TimeoutError."""
        async with asyncio.timeout(within.total_seconds()):
            while True:
                stats = await self.sink.command("stats")
                if stats["taken"] - stats["repeated"] >= expected:
                    return
                await asyncio.sleep(0.05)

    async def shows_waiting(self, count: int, within: timedelta) -> None:
        """Return when the engine's status says that so many wait.  Raises TimeoutError."""
        async with asyncio.timeout(within.total_seconds()):
            while True:
                if await self.waiting() == count:
                    return
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def watched(self, every: float = 0.5) -> AsyncIterator[list[Moment]]:
        """Samples of the engine's memory and backlog while the block runs."""
        moments: list[Moment] = []
        began = time.perf_counter()

        async def watch() -> None:
            while True:
                rss = self.usage().rss
                waiting = await self.waiting()
                moments.append(Moment(time.perf_counter() - began, rss, waiting))
                await asyncio.sleep(every)

        task = asyncio.create_task(watch())
        try:
            yield moments
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def usage_of(pid: int) -> Usage:
    """Of this process and all that it started and that still run."""
    cpu, rss = 0.0, 0
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            cpu += times.user + times.system
            rss += one.memory_info().rss
    return Usage(cpu, rss)


@asynccontextmanager
async def rig(
    folder: Path,
    *,
    sink_up: bool = True,
    lanes: int = 8,
    lean: bool = False,
    free: int = 0,
    connections: int = 50,
    options: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Rig]:
    """A fresh project in ``folder``, its engine ready, its sink up or not; all ended on leaving.
    ``lanes``, ``lean``, ``free``, ``connections``: see `write_project`; ``options``, ``environ``:
    the engine's."""
    intake, port = free_ports(2)
    project = write_project(
        folder,
        intake=intake,
        sink=port,
        lanes=lanes,
        lean=lean,
        free=free,
        connections=connections,
    )
    log = folder / "engine.log"
    async with (
        SinkProcess("http") as sink,
        EngineChild(folder, project.data, log=log, options=options, environ=environ) as engine,
    ):
        if sink_up:
            await sink.command(f"up {port}")
        await engine.start()
        await engine.ready()
        yield Rig(project, engine, sink)


def fsync_milliseconds(folder: Path, times: int = 200) -> float:
    """Median of writing 4 KB and calling fdatasync, which is what a commit waits for."""
    path = folder / "fsync"
    block = os.urandom(4096)
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(block)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(taken) * 1000
