"""The measurements of the running engine, each on an engine and a store of its own."""

from __future__ import annotations

import asyncio
import random
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.faults import faults
from bench.history import history
from bench.link import link
from bench.many import channels, connections
from bench.project import REPOSITORY
from bench.report import Figure, Section, at_least, at_most, plain
from bench.rig import Moment, Rig, fsync_milliseconds, rig
from bench.sampling import profile
from bench.shared import shared, workers
from tests.faults.crash import CrashPlan, crash_run

PATIENTS: Final = 1024
CONNECTIONS: Final = 32
_MIB: Final = 1024 * 1024


async def disk(folder: Path) -> Section:
    """The disk of this run: what every durable figure stands on."""
    return Section(
        "disk", "The disk", (plain("fdatasync, median", fsync_milliseconds(folder), "ms"),)
    )


async def accept(folder: Path) -> Section:
    """Acceptance alone (the destination is away), and while messages are delivered too."""
    figures: list[Figure] = []
    async with rig(folder / "alone", sink_up=False, lean=True) as alone:
        before = alone.usage()
        load = await alone.load(connections=CONNECTIONS, patients=PATIENTS, seconds=10)
        after = alone.usage()
        rate = load["acknowledged"] / (load["ended_at"] - load["began_at"])
        cpu = (after.cpu_seconds - before.cpu_seconds) / max(1, load["acknowledged"]) * 1e6
        figures += [
            at_least("accepted alone, 32 connections", rate, 6000, "msg/s"),
            plain("ACK p50 / p99", f"{load['p50']:.1f} / {load['p99']:.1f} ms"),
            plain("engine CPU per message", cpu, "µs"),
            plain("RSS at the end", after.rss / _MIB, "MiB"),
        ]
    async with rig(folder / "both", lean=True) as both:
        load = await both.load(connections=CONNECTIONS, patients=PATIENTS, seconds=10)
        rate = load["acknowledged"] / (load["ended_at"] - load["began_at"])
        figures += [
            plain("accepted while delivering, 32 connections", f"{rate:,.0f} msg/s"),
            plain("ACK p50 / p99 then", f"{load['p50']:.1f} / {load['p99']:.1f} ms"),
            plain(
                "delivered meanwhile", f"{await both.sink.taken():,} of {load['acknowledged']:,}"
            ),
        ]
    return Section("accept", "Accepting: MLLP, 1 KB ADT, durable before the ACK", tuple(figures))


async def steady(folder: Path) -> Section:
    """Acknowledgement times at a steady 1,000 messages a second, delivering at the same time."""
    async with rig(folder / "steady", lean=True) as one:
        await one.load(connections=8, patients=PATIENTS, rate=500, seconds=3)
        before = one.usage()
        load = await one.load(
            connections=CONNECTIONS, patients=PATIENTS, rate=1000, seconds=15, first=10**6
        )
        after = one.usage()
        seconds = load["ended_at"] - load["began_at"]
    return Section(
        "steady",
        "A steady 1,000 msg/s, delivered at the same time",
        (
            at_most("ACK p99", load["p99"], 20, "ms"),
            plain("ACK p50 / max", f"{load['p50']:.1f} / {load['max']:.1f} ms"),
            plain("acknowledged", f"{load['acknowledged'] / seconds:,.0f} msg/s"),
            plain("engine CPU", (after.cpu_seconds - before.cpu_seconds) / seconds * 100, "%"),
        ),
    )


async def _end_to_end(one: Rig, kind: str, count: int, goal: float) -> tuple[Figure, ...]:
    before = one.usage()
    async with one.watched() as moments:
        load = await one.load(
            connections=CONNECTIONS, patients=PATIENTS, kind=kind, count=count, seconds=120
        )
        await one.drained(load["acknowledged"], timedelta(seconds=120))
    after = one.usage()
    stats = await one.sink.command("stats")
    rate = stats["taken"] / (stats["last_at"] - load["began_at"])
    accepted = load["acknowledged"] / (load["ended_at"] - load["began_at"])
    return (
        at_least("end to end: first sent to last delivered", rate, goal, "msg/s"),
        plain("accepted meanwhile", f"{accepted:,.0f} msg/s"),
        plain("ACK p50 / p99", f"{load['p50']:.1f} / {load['p99']:.1f} ms"),
        plain(
            "engine CPU per message", (after.cpu_seconds - before.cpu_seconds) / count * 1e6, "µs"
        ),
        at_most("RSS at most", max(moment.rss for moment in moments) / _MIB, 250, "MiB"),
        plain("size of what was delivered", stats["bytes"] / stats["taken"] / 1024, "KiB each"),
        Figure(
            "delivered",
            f"{stats['taken'] - stats['repeated']:,}, {stats['repeated']} twice",
            f"{load['acknowledged']:,}",
            stats["taken"] - stats["repeated"] == load["acknowledged"],
        ),
        plain("attempts that failed", await _failures(one)),
    )


async def _failures(one: Rig) -> str:
    """How many, and the code of the last; a peer on loopback gives no cause for any."""
    status = await one.engine.status()
    failed = [channel for channel in status.channels if channel.retried] if status else []
    return (
        ", ".join(
            f"{channel.retried} ({channel.last_error.code if channel.last_error else 'no code'})"
            for channel in failed
        )
        or "none"
    )


async def e2e(folder: Path) -> Section:
    """ADT of 1 KB to a FHIR Bundle of four resources over HTTP."""
    async with rig(folder / "e2e", lean=True) as one:
        figures = await _end_to_end(one, "adt", 50_000, 2700)
    return Section("e2e", "End to end: 1 KB ADT → FHIR Bundle → HTTP, keyed lanes", figures)


async def oru(folder: Path) -> Section:
    """ORU of 4 KB with 20 OBX to a FHIR Bundle of 22 resources over HTTP."""
    async with rig(folder / "oru", lean=True) as one:
        figures = await _end_to_end(one, "oru20", 20_000, 1200)
    return Section("oru", "End to end: ORU with 20 OBX → FHIR Bundle → HTTP, keyed lanes", figures)


async def shipped(folder: Path) -> Section:
    """The same with the shipped mappings, which follow the whole implementation guide."""
    async with rig(folder / "adt") as one:
        adt = await _end_to_end(one, "adt", 30_000, 2700)
    async with rig(folder / "oru") as one:
        oru = await _end_to_end(one, "oru20", 10_000, 1200)
    figures = [
        replace(figure, name=f"{kind}: {figure.name}")
        for kind, found in (("ADT", adt), ("ORU", oru))
        for figure in found
    ]
    return Section("shipped", "End to end with the shipped mappings", tuple(figures))


async def backlog(folder: Path, count: int = 100_000) -> Section:
    """A destination that is away while messages wait, and comes back."""
    async with rig(folder / "backlog", sink_up=False, lean=True) as one:
        async with one.watched() as moments:
            load = await one.load(
                connections=CONNECTIONS, patients=PATIENTS, count=count, seconds=120
            )
            filled = len(moments)
            await asyncio.sleep(5)  # what waiting alone costs
            rested = len(moments)
            await one.sink.command(f"up {one.project.sink}")
            await one.drained(load["acknowledged"], timedelta(seconds=180))
        stats = await one.sink.command("stats")
        numbers = await one.sink.numbers(folder)
    kept = order_kept(numbers, PATIENTS)
    drain = stats["taken"] / (stats["last_at"] - stats["first_at"])
    most = max(moment.rss for moment in moments) / _MIB
    return Section(
        "backlog",
        f"A destination away with {count:,} messages waiting",
        (
            plain("accepted meanwhile", f"{load['acknowledged']:,}, refused {load['refused']:,}"),
            plain("RSS while it filled", _over_time(moments[:filled])),
            plain("RSS while it waited", _over_time(moments[filled:rested])),
            plain("RSS while it drained", _over_time(moments[rested:])),
            at_most("RSS at most", most, 250, "MiB"),
            Figure(
                "delivered",
                f"{len(set(numbers)):,}, {len(numbers) - len(set(numbers))} twice",
                f"{load['acknowledged']:,}",
                len(set(numbers)) == load["acknowledged"],
            ),
            Figure("order kept for each patient", str(kept), "True", kept),
            plain("drained at", f"{drain:,.0f} msg/s"),
        ),
    )


def order_kept(numbers: Sequence[int], patients: int) -> bool:
    """Whether first arrivals of each patient are in the order of sending."""
    seen: set[int] = set()
    latest: dict[int, int] = {}
    for number in numbers:
        if number in seen:
            continue
        seen.add(number)
        patient = number % patients
        if number < latest.get(patient, -1):
            return False
        latest[patient] = number
    return True


def _over_time(moments: Sequence[Moment], points: int = 6) -> str:
    """Some of the samples, first to last."""
    if not moments:
        return "–"
    step = max(1, (len(moments) - 1) // (points - 1)) if len(moments) > 1 else 1
    return " ".join(f"{moment.rss / _MIB:.0f}" for moment in moments[::step][:points]) + " MiB"


async def crash(folder: Path, kills: int = 200) -> Section:
    """The engine killed 200 times under load."""
    plan = CrashPlan(kills=kills, seed=random.SystemRandom().randrange(10**6))
    report = await crash_run(folder / "crash", plan, print)
    verdict = report.verdict
    return Section(
        "crash",
        f"The engine killed {kills} times under load (SIGKILL, 8 connections)",
        (
            plain("seed", str(plan.seed)),
            plain("sent / acknowledged", f"{verdict.sent:,} / {verdict.acknowledged:,}"),
            plain("delivered / duplicates", f"{verdict.delivered:,} / {verdict.duplicates:,}"),
            Figure("lost", str(len(verdict.lost)), "0", not verdict.lost),
            Figure("unexplained", str(len(verdict.unexplained)), "0", not verdict.unexplained),
            Figure("out of order", str(len(verdict.disordered)), "0", not verdict.disordered),
            plain("slowest start", report.slowest_start, "s"),
        ),
    )


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal for a number that a benchmark prints: the first match of ``pattern``, a group."""

    name: str
    pattern: str
    goal: float
    unit: str = ""
    at_least: bool = False

    def figure(self, text: str) -> Figure:
        match = re.search(self.pattern, text)
        if match is None:
            return Figure(self.name, "not found", f"{self.goal:g}", False)
        value = float(match[1].replace(",", ""))
        return (at_least if self.at_least else at_most)(self.name, value, self.goal, self.unit)


def printed(
    name: str, title: str, module: str, goals: Sequence[Goal] = ()
) -> Callable[[Path], Awaitable[Section]]:
    """A benchmark that is a module of its own and prints its figures."""

    async def run(folder: Path) -> Section:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        text = output.decode()
        return Section(name, title, tuple(goal.figure(text) for goal in goals), text)

    return run


_MAPPING = (Goal("YAML mapping against Python by hand", r"ratio\s+([\d.]+)", 1.5, "×"),)
_VIEW = (Goal("our view against the hl7 package", r"ratio\s+([\d.]+)", 30, "×", at_least=True),)
_MILLION = (
    Goal("opening", r"opened with .* in ([\d,.]+) ms", 5000, "ms"),
    Goal("search by patient", r"search by patient\s+([\d,.]+) ms", 1000, "ms"),
    Goal("accepting, against an empty store", r"full [\d,.]+ \(([+-][\d.]+)%", -10, "%", True),
)

_LIBRARY = (
    Goal("ORU of 500 OBX, 100 KB", r"500 OBX, .*? KB\s+([\d.]+) ms", 15, "ms"),
    Goal("an OBX of 5,000, against one of 500", r"ratio ([\d.]+)", 1.3, "×"),
    Goal("800 KB of base64, against 1 KB", r"base64\s+([\d.]+) ms", 20, "ms"),
    Goal("lint of the whole project", r"lint of the project\s+([\d.]+) s", 3, "s"),
)


SECTIONS: Final[Mapping[str, Callable[[Path], Awaitable[Section]]]] = {
    "disk": disk,
    "accept": accept,
    "steady": steady,
    "e2e": e2e,
    "oru": oru,
    "shipped": shipped,
    "link": link,
    "profile": profile,
    "mapping": printed("mapping", "Mapping against hand-written Python", "bench.mapping", _MAPPING),
    "library": printed("library", "The shipped library", "bench.library", _LIBRARY),
    "view": printed("view", "HL7 view against the hl7 package", "bench.hl7_view", _VIEW),
    "store": printed("store", "The store", "bench.store"),
    "broker": printed("broker", "RabbitMQ, quorum queues, one node", "bench.broker"),
    "million": printed(
        "million", "The store with 1,000,000 messages", "bench.store_million", _MILLION
    ),
    "shared": shared,
    "workers": workers,
    "channels": channels,
    "connections": connections,
    "history": history,
    "backlog": backlog,
    "crash": crash,
    "faults": faults,
}


async def measure(name: str, parent: Path, seconds: float) -> Section:
    """One section in a directory of its own, which is removed.  Raises TimeoutError."""
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-", dir=parent) as folder:
        async with asyncio.timeout(seconds):
            return await SECTIONS[name](Path(folder))
