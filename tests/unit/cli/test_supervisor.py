"""The supervisor with real processes: small ones that do what a test says."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.cli import supervisor as module
from engine.cli.exits import Exit
from engine.cli.leash import Leash
from engine.cli.supervisor import Supervisor

CHILD = """
import fcntl, os, select, signal, sys
folder, number, data, leash, mode = sys.argv[1:]
life, ready = map(int, leash.split(":"))
told = []
def note(what):
    with open(f"{folder}/log", "a") as out:
        out.write(f"{number} {what}\\n")
signal.signal(signal.SIGTERM, lambda *_: told.append("term"))
signal.signal(signal.SIGHUP, lambda *_: note("reload"))
while os.read(life, 1) != b"\\n":
    pass
try:
    lock = os.open(f"{folder}/{data}", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    mode = "refuses"  # as an engine whose data folder another has
if mode == "refuses":
    sys.exit(5)
note("start")
os.write(ready, b"ready\\n")
os.close(ready)
while not told:
    found, _, _ = select.select([life], [], [], 0.02)
    if found:
        note("alone")
        sys.exit(0)
note("stop")
"""


class Hall:
    """A supervisor's processes and what they noted."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder = folder
        self.mode = "works"
        self.supervisor = Supervisor(self.command, processes)

    def command(self, number: int, folder: int, leash: Leash) -> Sequence[str]:
        return [
            sys.executable, "-c", CHILD, str(self.folder), str(number), f"data{number}-{folder}",
            str(leash), self.mode,
        ]  # fmt: skip

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def until_noted(self, what: str, times: int) -> None:
        await self.until(lambda: sum(line.endswith(what) for line in self.log) >= times)


@asynccontextmanager
async def hall(folder: Path, processes: int = 2) -> AsyncIterator[Hall]:
    made = Hall(folder, processes)
    running = asyncio.create_task(made.supervisor.run())
    try:
        yield made
    finally:
        made.supervisor.stop(fast=False)
        assert await running == Exit.OK


async def test_all_are_started_and_stopped_together(tmp_path: Path) -> None:
    async with hall(tmp_path, 3) as h:
        await h.until_noted("start", 3)
        pids = h.supervisor.pids.values()
        assert len(set(pids)) == 3
    assert sorted(h.log[3:]) == ["0 stop", "1 stop", "2 stop"]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_one_that_is_killed_is_started_again(tmp_path: Path) -> None:
    async with hall(tmp_path) as h:
        await h.until_noted("start", 2)
        os.kill(h.supervisor.pids[1], signal.SIGKILL)
        await h.until_noted("1 start", 2)
        assert h.log.count("0 start") == 1


async def test_a_reload_reaches_all(tmp_path: Path) -> None:
    async with hall(tmp_path) as h:
        await h.until_noted("start", 2)
        h.supervisor.hang_up()
        await h.until_noted("reload", 2)
        assert sorted(h.log[2:]) == ["0 reload", "1 reload"]


async def test_a_rolling_restart_leaves_no_gap(tmp_path: Path) -> None:
    async with hall(tmp_path) as h:
        await h.until_noted("start", 2)
        before = h.supervisor.pids
        h.supervisor.exchange()
        await h.until_noted("stop", 2)
        assert h.log[2:] == ["0 start", "0 stop", "1 start", "1 stop"]
        assert not set(before.values()) & set(h.supervisor.pids.values())


async def test_a_rolling_restart_ends_where_the_new_process_does_not_come_up(
    tmp_path: Path,
) -> None:
    async with hall(tmp_path) as h:
        await h.until_noted("start", 2)
        before = h.supervisor.pids
        h.mode = "refuses"
        h.supervisor.exchange()
        await asyncio.sleep(0.5)
        assert h.supervisor.pids == before


async def test_what_cannot_start_at_all_ends_the_supervisor(tmp_path: Path) -> None:
    made = Hall(tmp_path, 2)
    made.mode = "refuses"
    async with asyncio.timeout(20):
        assert await made.supervisor.run() == Exit.NOT_STARTED


async def test_one_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_WITHIN", module.timedelta(seconds=0.3))
    async with hall(tmp_path, 1) as h:
        await h.until_noted("start", 1)
        os.kill(h.supervisor.pids[0], signal.SIGSTOP)


async def test_processes_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from engine.cli.supervisor import Supervisor\n"
        "def command(number, folder, leash):\n"
        f"    return [sys.executable, '-c', {CHILD!r}, {str(tmp_path)!r}, str(number),"
        " f'data{number}-{folder}', str(leash), 'works']\n"
        "asyncio.run(Supervisor(command, 2).run())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    h = Hall(tmp_path, 2)
    await h.until_noted("start", 2)
    process.kill()
    await process.wait()
    await h.until_noted("alone", 2)
