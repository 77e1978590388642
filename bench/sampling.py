"""Where the time goes: the running engine sampled from outside while it carries ADT end to end.

Each sample is given to the room of the house whose code was innermost; time inside a library is
its caller's.  The samples are of threads that run, so the store's writing thread counts beside the
event loop, and the sum may be more than one core.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bench.project import REPOSITORY
from bench.report import Section, plain
from bench.rig import rig

_SECONDS: Final = 10
_RATE: Final = 250  # samples a second
_FRAME = re.compile(r"^(?P<name>.*) \((?P<file>[^():]+)(?::\d+)?\)$")
_SHOWN: Final = 16


def room_of(file: str) -> str | None:
    """``engine/mapping``, ``connectors/mllp``; None for code that is not ours."""
    try:
        parts = Path(file).relative_to(REPOSITORY).parts
    except ValueError:
        return None
    if parts[0] not in ("engine", "connectors"):
        return None  # .venv lives in the repository too
    return "/".join(parts[:2]).removesuffix(".py")


def attribute(stacks: Iterable[str]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Samples by room, by function and by thread, from lines of collapsed stacks:
    ``thread (7): MainThread;outer (file:3);inner (file:9) 12``."""
    rooms: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rstrip().rpartition(" ")
        if not count.isdigit():
            continue
        thread = stack.partition(";")[0]
        if thread.startswith("thread ("):
            threads[thread.partition(": ")[2] or "without a name"] += int(count)
        for text in reversed(stack.split(";")):
            frame = _FRAME.match(text)
            room = room_of(frame["file"]) if frame else None
            if frame and room:
                rooms[room] += int(count)
                functions[f"{room}: {frame['name']}"] += int(count)
                break
        else:
            rooms["event loop and libraries"] += int(count)
    return rooms, functions, threads


async def profile(folder: Path) -> Section:
    """A load of ten seconds, sampled."""
    samples = folder / "stacks"
    async with rig(folder / "profile", lean=True) as one:
        load = asyncio.create_task(one.load(seconds=_SECONDS + 3, patients=1024))
        await asyncio.sleep(2)
        spy = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            *("--pid", str(one.engine.pid), "--duration", str(_SECONDS), "--rate", str(_RATE)),
            *(
                "--format",
                "raw",
                "--output",
                str(samples),
                "--full-filenames",
                "--nonblocking",
                "--threads",
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await spy.communicate()
        await load
    if spy.returncode != 0:
        return Section("profile", "Where the time goes", text=said.decode(errors="replace"))
    with samples.open(encoding="utf-8") as lines:
        rooms, functions, threads = attribute(lines)
    total = sum(rooms.values())
    figures = [plain(room, f"{count / total:.1%}") for room, count in rooms.most_common()]
    figures += [
        plain(f"thread {name}", f"{count / (_SECONDS * _RATE):.0%} of the time busy")
        for name, count in threads.most_common(3)
    ]
    text = "\n".join(
        f"{count / total:6.1%}  {name}" for name, count in functions.most_common(_SHOWN)
    )
    return Section("profile", "Where the time goes (ADT end to end)", tuple(figures), text)
