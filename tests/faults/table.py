"""The fault table: each fault some rounds, at random moments, and what the outside saw.

``python -m tests.faults.table --rounds 20 --write`` fills docs/reliability.md; ``--only NAME …``
runs some.  The tests run a few rounds of each (`test_table`).
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.audit import Verdict
from tests.faults.catalogue import FAULTS, Fault, Needs
from tests.faults.hall import Servers, finished, hall
from tests.servers.postgresql import PostgresServer
from tests.servers.rabbitmq import PASSWORD, USER, RabbitNode, rabbit_nodes

ROUNDS = 20
DISK = "400m"  # the engine refuses messages when less than 256 MiB are free
DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.  ``gap``: the longest time without an acknowledgement, in seconds;
    ``silence``: without an arrival at the receiver."""

    fault: Fault
    rounds: int
    seed: int
    verdict: Verdict
    gap: float
    silence: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.fault.name}: {self.rounds} rounds (seed {self.seed}) in {self.seconds:.0f} s: "
            f"{self.verdict}; longest gap {self.gap:.1f} s, silence {self.silence:.1f} s"
        )


async def run(fault: Fault, rounds: int, seed: int, servers: Servers, root: Path) -> Row:
    """Raises TimeoutError when messages do not move again after a round, EngineEnded when an
    engine gives up by itself."""
    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    environ = faked_clock(root) if fault.clock else None
    async with (
        small_disk(root, fault.disk) as data,
        hall(
            root,
            servers,
            chance,
            engines=fault.engines,
            processes=fault.processes,
            answer_within=fault.answer_within,
            environ=environ,
            data=data,
        ) as made,
    ):
        await made.moving()
        for _ in range(rounds):
            await fault.strike(made)
            await made.moving()
        verdict = await finished(made)
    gap, silence = made.witness.gaps.longest, made.sink.gaps.longest
    return Row(fault, rounds, seed, verdict, gap, silence, time.monotonic() - began)


def faked_clock(root: Path) -> dict[str, str]:
    """What makes a process read its time from the file ``clock``; the monotonic clock goes on."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        raise RuntimeError("libfaketime is not installed: run .ci/setup test")
    root.mkdir(parents=True, exist_ok=True)
    clock = root / "clock"
    clock.write_text("+0")
    return {
        "LD_PRELOAD": str(libraries[-1]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@asynccontextmanager
async def small_disk(root: Path, wanted: bool) -> AsyncIterator[Path | None]:
    """A folder on a file system of its own, in memory; only root may mount one."""
    if not wanted:
        yield None
        return
    disk = root / "disk"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "carebus", str(disk)]
    await asyncio.to_thread(subprocess.run, mount, check=True)
    try:
        (disk / "var").mkdir()
        yield disk / "var"
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", disk], check=True)


class Grounds:
    """The servers for faults; started when the first fault needs them, one database for each."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._postgresql: PostgresServer | None = None
        self._single: Servers | None = None

    def close(self) -> None:
        self._stack.close()

    @contextmanager
    def servers(self, needs: Needs) -> Iterator[Servers]:
        if needs is Needs.ALONE:
            yield Servers()
            return
        if self._postgresql is None:
            self._postgresql = PostgresServer(durable=True)
            self._postgresql.start()
            self._stack.callback(self._postgresql.remove)
        with rabbit_nodes(3 if needs is Needs.CLUSTER else 1) as nodes:
            yield Servers(
                self._postgresql,
                nodes,
                self._postgresql.create_database(),
                broker_url(nodes),
            )


def broker_url(nodes: Sequence[RabbitNode]) -> str:
    """One address for all of them, tried in turn."""
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    return f"amqp://{USER}:{PASSWORD}@{hosts}/"


def fill(rows: Sequence[Row], document: Path) -> None:
    """The rows between the marks of the document; what was not run keeps the row of its last run.
    A fault that is no longer in the catalogue loses its row."""
    text = document.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    known = {_key(line): line for line in table.splitlines() if line.startswith("| ")}
    known |= {_key(line): line for line in map(_line, rows)}
    places = [f"| {fault.what} | {fault.needs.value}" for fault in FAULTS]
    lines = [known[place] for place in places if place in known]
    table = "\n".join((_HEAD, "|---" * _HEAD.count(" | ") + "|---|", *lines))
    document.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


_HEAD = (
    "| fault | made of | rounds | messages | acknowledged | lost | duplicates (unexplained) |"
    " out of order | longest gap | seed |"
)


def _key(line: str) -> str:
    return " |".join(line.split(" |")[:2])


def _line(row: Row) -> str:
    verdict = row.verdict
    return (
        f"| {row.fault.what} | {row.fault.needs.value} | {row.rounds} | {verdict.sent:,} |"
        f" {verdict.acknowledged:,} | {len(verdict.lost)} |"
        f" {verdict.duplicates:,} ({len(verdict.unexplained)}) | {len(verdict.disordered)} |"
        f" {row.gap:.1f} s | {row.seed} |"
    )


def rows_of(faults: Sequence[Fault], rounds: int, seed: int) -> Iterator[Row]:
    """Each as it comes."""
    grounds = Grounds()
    try:
        for fault in faults:
            with (
                grounds.servers(fault.needs) as servers,
                tempfile.TemporaryDirectory(prefix="carebus-fault-") as folder,
            ):
                row = asyncio.run(run(fault, rounds, seed, servers, Path(folder) / "hall"))
            yield row
    finally:
        grounds.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.table", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", nargs="*", metavar="NAME")
    parser.add_argument("--write", action="store_true", help="fill docs/reliability.md")
    options = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if not options.only or fault.name in options.only]
    rows = []
    for row in rows_of(faults, options.rounds, options.seed):
        print(row, flush=True)
        rows.append(row)
        if options.write:
            fill([row], DOCUMENT)
    return 0 if all(row.verdict.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
