"""The engine on RabbitMQ and PostgreSQL, both durable and both on this machine.

Engine, servers, load and sink share the cores.  Each figure therefore stands beside the CPU time
that each of them used for a message: what a machine of its own would give can be read from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.report import Figure, Section, at_least, plain
from bench.rig import Rig, rig, usage_of
from tests.servers.postgresql import PostgresServer
from tests.servers.rabbitmq import RabbitNode, rabbit_nodes

MESSAGES: Final = 20_000
HEAVY: Final = 6_000
WARM: Final = 256
SLOW: Final = 3_000
SLOW_SECONDS: Final = 0.02
SLOW_RUN_SECONDS: Final = 5
CONNECTIONS: Final = 32
PATIENTS: Final = 1024
_WITHIN: Final = timedelta(seconds=180)


@dataclass(frozen=True, slots=True)
class Servers:
    """One RabbitMQ node and one PostgreSQL server, running."""

    node: RabbitNode
    postgres: PostgresServer

    def environ(self) -> Mapping[str, str]:
        """For an engine: a database of its own, and the node."""
        return {
            "CAREBUS_BROKER_URL": self.node.url,
            "CAREBUS_STORE_URL": self.postgres.create_database(),
        }

    def cpu(self) -> tuple[float, float]:
        """Seconds that RabbitMQ and PostgreSQL used so far."""
        return usage_of(self.node.pid).cpu_seconds, usage_of(self.postgres.pid).cpu_seconds


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Both, with fsync; removed on leaving."""
    with contextlib.ExitStack() as stack:
        postgres = PostgresServer(durable=True)
        stack.callback(postgres.remove)
        await asyncio.to_thread(postgres.start)
        (node,) = await asyncio.to_thread(stack.enter_context, rabbit_nodes(1))
        yield Servers(node, postgres)


@dataclass(frozen=True, slots=True)
class Run:
    """One load, from the first message sent to the last one delivered."""

    rate: float  # messages a second, end to end
    accepted: float  # messages a second, while they were sent
    delivered: int  # different messages
    repeated: int
    acknowledged: int
    micros: Mapping[str, float]  # CPU time for a message, by process
    ack: str
    machine_load: float

    @property
    def whole(self) -> bool:
        return self.delivered == self.acknowledged

    @property
    def split(self) -> str:
        return ", ".join(f"{name} {micros:,.0f}" for name, micros in self.micros.items())


async def carried(one: Rig, common: Servers, *, kind: str, count: int, first: int = 0) -> Run:
    """Send ``count`` messages and wait until the sink has them all."""
    before = (one.usage().cpu_seconds, *common.cpu(), await _sink_cpu(one))
    taken = await one.sink.taken()
    load = await one.load(
        connections=CONNECTIONS,
        patients=PATIENTS,
        kind=kind,
        count=count,
        first=first,
        seconds=_WITHIN.total_seconds(),
    )
    await one.drained(taken + load["acknowledged"], _WITHIN)
    after = (one.usage().cpu_seconds, *common.cpu(), await _sink_cpu(one))
    stats = await one.sink.command("stats")
    used = [(later - earlier) / count * 1e6 for earlier, later in zip(before, after, strict=True)]
    micros = dict(zip(("engine", "RabbitMQ", "PostgreSQL", "sink"), used, strict=True))
    return Run(
        rate=count / (stats["last_at"] - load["began_at"]),
        accepted=load["acknowledged"] / (load["ended_at"] - load["began_at"]),
        delivered=stats["taken"] - stats["repeated"] - taken,
        repeated=stats["repeated"],
        acknowledged=load["acknowledged"],
        micros={**micros, "load": load["cpu_seconds"] / count * 1e6},
        ack=f"{load['p50']:.1f} / {load['p99']:.1f} ms",
        machine_load=os.getloadavg()[0],
    )


async def _sink_cpu(one: Rig) -> float:
    return float((await one.sink.command("stats"))["cpu_seconds"])


async def _alone(
    common: Servers, folder: Path, *, kind: str, count: int, lean: bool, processes: int
) -> Run:
    """A run of an engine of its own, after a short one that warms its mappings."""
    options = ("--processes", str(processes)) if processes > 1 else ()
    async with rig(folder, lean=lean, options=options, environ=common.environ()) as one:
        await carried(one, common, kind=kind, count=WARM)
        return await carried(one, common, kind=kind, count=count, first=WARM)


async def shared(folder: Path) -> Section:
    """Through both servers, with one engine process and with two: messages that cost the engine
    little, and messages whose mapping is most of the work."""
    figures: list[Figure] = []
    async with servers() as common:
        for kind, lean, count, what in (
            ("adt", True, MESSAGES, "ADT"),
            ("oru20", False, HEAVY, "ORU, shipped mapping"),
        ):
            runs = []
            for processes in (1, 2):
                here = folder / f"{kind}-{processes}"
                run = await _alone(
                    common, here, kind=kind, count=count, lean=lean, processes=processes
                )
                runs.append(run)
                name = f"{what}, {processes} process{'es' if processes > 1 else ''}"
                figures += _figures(name, run, goal=1200 if (kind, processes) == ("adt", 1) else 0)
            ratio = runs[1].rate / runs[0].rate
            figures.append(plain(f"{what}: two processes against one", f"{ratio:.2f} ×"))
    title = "RabbitMQ (quorum queues) and PostgreSQL, all durable, on the engine's machine"
    return Section("shared", title, tuple(figures))


def _figures(name: str, run: Run, *, goal: float) -> list[Figure]:
    rate = f"{name}: end to end"
    return [
        at_least(rate, run.rate, goal, "msg/s") if goal else plain(rate, f"{run.rate:,.0f} msg/s"),
        plain(f"{name}: accepted meanwhile", f"{run.accepted:,.0f} msg/s"),
        plain(f"{name}: ACK p50 / p99", run.ack),
        plain(f"{name}: CPU µs per message", run.split),
        plain(f"{name}: load of the machine then", f"{run.machine_load:.1f}"),
        Figure(
            f"{name}: delivered",
            f"{run.delivered:,}, {run.repeated} twice",
            f"{run.acknowledged:,}",
            run.whole,
        ),
    ]


async def workers(folder: Path) -> Section:
    """A destination that takes 20 ms: what more lanes and more processes bring."""
    figures: list[Figure] = []
    async with servers() as common:
        for lanes in (4, 16):
            run = await _slow(common, folder / f"lanes-{lanes}", lanes=lanes)
            most = lanes / SLOW_SECONDS
            name = f"{lanes} keyed lanes, of {most:,.0f}/s that the destination allows"
            figures.append(plain(name, f"{run.rate:,.0f} msg/s"))
        rates = []
        for processes in (1, 2):
            run = await _slow(common, folder / f"free-{processes}", free=8, processes=processes)
            rates.append(run.rate)
            name = f"8 sends at once in each of {processes}, without order"
            figures.append(plain(name, f"{run.rate:,.0f} msg/s"))
        ratio = rates[1] / rates[0]
    goal = 1.5
    figures.append(
        Figure("two processes against one", f"{ratio:.2f} ×", f"≥ {goal}", ratio >= goal)
    )
    figures.append(plain("load of the machine then", f"{run.machine_load:.1f}"))
    title = "A destination that takes 20 ms, on RabbitMQ and PostgreSQL"
    return Section("workers", title, tuple(figures))


async def _slow(
    common: Servers, folder: Path, *, lanes: int = 8, free: int = 0, processes: int = 1
) -> Run:
    at_once = free * processes or lanes
    count = min(SLOW, int(SLOW_RUN_SECONDS * at_once / SLOW_SECONDS))
    options = ("--processes", str(processes)) if processes > 1 else ()
    environ = common.environ()
    async with rig(
        folder, lean=True, lanes=lanes, free=free, options=options, environ=environ
    ) as one:
        await carried(one, common, kind="adt", count=WARM)
        await one.sink.command(f"slow {SLOW_SECONDS}")
        return await carried(one, common, kind="adt", count=count, first=WARM)
