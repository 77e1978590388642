"""The moving of old content into the archive, killed again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from engine.contract import UnknownMessage
from engine.store import SqliteDatabase, SqlStore
from engine.store.backup import searching
from engine.testing.store import GRACE, identity
from tests.unit.store.backup.test_archive import FINISHED, ids
from tests.unit.store.filled import fill

MOVER = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from engine.store import SqliteDatabase
from engine.store.backup import archiving, changing
from engine.store.content import ContentFolder
data, folder, calls = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
archiving.MOST_MESSAGES = 2
real = os.fsync
def fsync(number):
    global calls
    calls -= 1
    if calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)
os.fsync = fsync
database = SqliteDatabase(data / "carebus.db")
with changing(database) as writer:
    archiving.move(database.connect_reader(), writer, ContentFolder(data / "content"), folder,
                   datetime(2027, 1, 1, tzinfo=UTC))
"""


async def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """Killed before the first, the second, … wait for the disk, each time a new process."""
    folder = tmp_path / "archive"
    store = SqlStore(SqliteDatabase(tmp_path / "carebus.db"), tmp_path)
    await store.open()
    await fill(store, 0, 40)
    bodies = {n: (await store.load(identity(n))).payload for n in range(40) if n % 10 in FINISHED}
    os.mkdir(folder)
    ends = []
    for calls in (1, 2, 3, 4, 5, 3, 1000):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", MOVER, tmp_path, folder, str(calls)
        )
        ends.append(await process.wait())
        for number, payload in bodies.items():
            try:
                there = (await store.load(identity(number))).payload
            except UnknownMessage:
                there = searching.show(folder, identity(number))[1][0].payload
            assert there == payload
    assert ends == [-signal.SIGKILL] * 6 + [0]
    lines = [line for day in searching.days(folder) for _, one in day.batches() for line in one]
    assert len(lines) == len(bodies), "nothing is there twice"
    assert ids(folder) == [identity(number) for number in bodies]
    await store.close(GRACE)
