"""The crash run: the engine is killed with SIGKILL at random moments under load, and started again
at once on the same data; at the end `tests.faults.audit` judges what the outside saw.

``python -m tests.faults.crash --kills 200`` runs it by hand; the tests and the benchmark call
`crash_run`.  Everything is decided by a seed, except the machine's own timing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.messages import MARK, adt
from bench.project import LoadProject, write_project
from bench.sinks import HttpSink
from engine.contract import DeliveryId, Query, State, StoredEvent
from engine.demo.child import EngineChild, free_ports
from engine.demo.sender import Outgoing, Patience, SendingSystem
from engine.store import open_store
from tests.faults.audit import Copy, Evidence, Verdict, audit

_QUIET = timedelta(seconds=15)
_LAST_WORDS = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class CrashPlan:
    """``load``: the engine is killed this many seconds after it was ready, at the latest.  One
    kill in ``early`` comes while it still starts."""

    kills: int
    seed: int
    connections: int = 8
    patients: int = 64
    load: float = 0.8
    early: int = 6


@dataclass(frozen=True, slots=True)
class CrashReport:
    plan: CrashPlan
    verdict: Verdict
    refused: int
    seconds: float
    slowest_start: float  # seconds from the start of the process to a listening engine

    def __str__(self) -> str:
        return (
            f"{self.plan.kills} kills (seed {self.plan.seed}) in {self.seconds:.0f} s: "
            f"{self.verdict}; refused {self.refused}, slowest start {self.slowest_start:.1f} s"
        )


class Witness:
    """What the senders saw; the journal of all of them."""

    def __init__(self) -> None:
        self.sends: Counter[int] = Counter()
        self.answered: list[int] = []  # positively, in order
        self.refusals = 0

    def sending(self, message: Outgoing) -> None:
        self.sends[number_of(message)] += 1

    def acknowledged(self, message: Outgoing) -> None:
        self.answered.append(number_of(message))

    def refused(self, message: Outgoing, code: str) -> None:
        self.refusals += 1


def number_of(message: Outgoing) -> int:
    return int(message.control_id[len(MARK) :])


def messages(index: int, plan: CrashPlan) -> Iterator[Outgoing]:
    """Every ``connections``-th number: a patient always has the same connection, so that the
    order of his messages is defined."""
    patients = plan.patients // plan.connections * plan.connections
    number = index
    while True:
        patient = number % patients
        frame = adt(number, patient)
        yield Outgoing(f"{MARK.decode()}{number:010d}", str(patient), frame[1:-2])
        number += plan.connections


async def crash_run(
    root: Path, plan: CrashPlan, say: Callable[[str], None] = lambda _: None
) -> CrashReport:
    """One run in the empty directory ``root``.  Raises EngineEnded when the engine gives up by
    itself, TimeoutError when it does not start or answer."""
    began = time.monotonic()
    chance = random.Random(plan.seed)  # noqa: S311 - moments, not secrets
    sink = HttpSink()
    intake, port = free_ports(2)
    project = write_project(root, intake=intake, sink=port, duplicates=True, lean=True)
    await sink.up(port)
    witness = Witness()
    senders = [
        SendingSystem(intake, messages(index, plan), witness, patience=Patience(reconnect=0.02))
        for index in range(plan.connections)
    ]
    try:
        async with EngineChild(root, project.data, log=root / "engine.log") as engine:
            await engine.start()
            tasks = [asyncio.create_task(sender.run()) for sender in senders]
            try:
                slowest = await _kill_again_and_again(engine, plan, chance, say, witness)
                for sender in senders:
                    sender.stop()
                async with asyncio.timeout(_LAST_WORDS.total_seconds()):
                    await asyncio.gather(*tasks)
                await settled(witness, sink)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            status = await engine.stop(timedelta(seconds=20))
        if status != 0:
            raise AssertionError(f"after SIGTERM the engine ended with {status}")
    finally:
        await sink.down()
    verdict = await judge(project, plan, witness, sink.numbers)
    return CrashReport(plan, verdict, witness.refusals, time.monotonic() - began, slowest)


async def _kill_again_and_again(
    engine: EngineChild,
    plan: CrashPlan,
    chance: random.Random,
    say: Callable[[str], None],
    witness: Witness,
) -> float:
    """The slowest start, in seconds."""
    slowest = 0.0
    started = time.monotonic()
    for kill in range(plan.kills):
        if kill % plan.early != plan.early - 1:
            await engine.ready()
            slowest = max(slowest, time.monotonic() - started)
        await asyncio.sleep(chance.uniform(0.01, plan.load))
        await engine.kill()
        started = time.monotonic()
        await engine.start()
        if kill % 10 == 9:
            say(f"{kill + 1} kills, {len(witness.answered)} acknowledged")
    await engine.ready()
    return slowest


async def settled(witness: Witness, sink: HttpSink) -> None:
    """Return when everything acknowledged has arrived, or when nothing has arrived for a while:
    then the rest is lost."""
    while set(witness.answered).difference(sink.numbers):
        arrived = len(sink.numbers)
        await asyncio.sleep(0.2)
        quiet = time.monotonic() + _QUIET.total_seconds()
        while len(sink.numbers) == arrived and time.monotonic() < quiet:
            await asyncio.sleep(0.2)
        if len(sink.numbers) == arrived:
            return


async def judge(
    project: LoadProject, plan: CrashPlan, witness: Witness, delivered: Sequence[int]
) -> Verdict:
    """The audit of a finished run.  The store is asked only about what arrived more than once."""
    repeated = [number for number, times in Counter(delivered).items() if times > 1]
    copies = await stored_copies(project.data, repeated)
    patients = plan.patients // plan.connections * plan.connections
    return audit(
        Evidence(
            sends=witness.sends,
            acknowledged=witness.answered,
            delivered=delivered,
            key=lambda number: number % patients,
            copies=lambda number: copies[number],
        )
    )


async def stored_copies(
    data: Path, numbers: Sequence[int], url: str | None = None
) -> dict[int, tuple[Copy, ...]]:
    """What the store of a stopped engine says about these messages."""
    store = open_store(url or f"sqlite:///{data / 'carebus.db'}", data=data)
    await store.open()
    try:
        found: dict[int, tuple[Copy, ...]] = {}
        for number in numbers:
            copies = []
            name = f"{MARK.decode()}{number:010d}"
            known = await store.search(Query(control_id=name, limit=50))
            for message in known or await store.search(Query(keys={"order": name}, limit=50)):
                events = await store.history(message.message_id)
                ids = {event.delivery for event in events if event.delivery is not None}
                copies += [_copy(events, delivery) for delivery in sorted(ids)]
            found[number] = tuple(copies)
        return found
    finally:
        await store.close(timedelta(seconds=5))


def _copy(events: Sequence[StoredEvent], delivery: DeliveryId) -> Copy:
    sent = [e for e in events if e.delivery == delivery and e.state is State.SENT]
    return Copy(sent=bool(sent), possible_duplicate=any(e.possible_duplicate for e in sent))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="carebus-crash-") as folder:
        plan = CrashPlan(kills=options.kills, seed=options.seed)
        report = asyncio.run(crash_run(Path(folder) / "project", plan, print))
    print(report)
    return 0 if report.verdict.kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
