"""Many of a kind in one engine process: 1,000 channels, 2,000 connections."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.messages import adt
from bench.project import LoadProject
from bench.report import Figure, Section, at_least, at_most, plain
from bench.rig import Rig, SinkProcess, rig
from bench.shared import servers
from engine.demo.child import EngineChild, free_ports

CHANNELS: Final = 1_000
CONNECTIONS: Final = 2_000
RATE: Final = 500
SETTLE_SECONDS: Final = 10
IDLE_SECONDS: Final = 20
HELD_SECONDS: Final = 20
_MIB: Final = 1024 * 1024
_READY: Final = timedelta(seconds=120)

_IN: Final = """\
system: WARD{number}
direction: inbound
connector: mllp
settings: {{host: 127.0.0.1, port: {port}}}
format: hl7v2
"""
_OUT: Final = """\
system: LAB{number}
direction: outbound
connector: mllp
settings: {{host: 127.0.0.1, port: {port}}}
format: hl7v2
"""
_ROUTE: Final = """\
  - name: pass-{number}
    from: ward{number}-in
    to: [{{channel: lab{number}-out}}]
"""


def write_many(root: Path, channels: int, *, sink: int) -> list[int]:
    """A project of so many channels, half of them sources, each with a route to a destination of
    its own; the sources' ports."""
    folder = root / "channels"
    folder.mkdir(parents=True)
    ports = free_ports(channels // 2)
    for number, port in enumerate(ports):
        source = _IN.format(number=number, port=port)
        (folder / f"ward{number}-in.yaml").write_text(source, "utf-8")
        destination = _OUT.format(number=number, port=sink)
        (folder / f"lab{number}-out.yaml").write_text(destination, "utf-8")
    routes = "".join(_ROUTE.format(number=number) for number in range(len(ports)))
    (root / "routes.yaml").write_text(f"routes:\n{routes}", "utf-8")
    return ports


@dataclass(frozen=True, slots=True)
class Idle:
    """An engine at rest."""

    start: float  # seconds until every source takes messages
    carried: float  # seconds until each channel has carried one
    cpu: float  # percent of a core
    rss: int


async def _idle(folder: Path, channels: int, environ: Mapping[str, str]) -> Idle:
    """Start an engine of so many channels, send a message through each, and leave it alone.
    Raises TimeoutError when one does not arrive."""
    (sink_port,) = free_ports(1)
    ports = write_many(folder, channels, sink=sink_port)
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(SinkProcess("mllp"))
        await sink.command(f"up {sink_port}")
        engine = EngineChild(folder, folder / "var", log=folder / "engine.log", environ=environ)
        await stack.enter_async_context(engine)
        began = time.perf_counter()
        await engine.start()
        await engine.ready(_READY)
        started = time.perf_counter() - began
        one = Rig(LoadProject(folder, ports[0], sink_port), engine, sink)
        await asyncio.gather(*(_sent(port, number) for number, port in enumerate(ports)))
        await one.drained(len(ports), _READY)
        carried = time.perf_counter() - began
        await asyncio.sleep(SETTLE_SECONDS)
        before, since = one.usage(), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        after, seconds = one.usage(), time.perf_counter() - since
    cpu = (after.cpu_seconds - before.cpu_seconds) / seconds * 100
    return Idle(started, carried, cpu, after.rss)


async def _sent(port: int, number: int) -> None:
    """One message on a connection of its own.  Raises RuntimeError when it is not accepted."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(adt(number, number))
        answer = await reader.readuntil(b"\x1c\r")
    finally:
        writer.close()
    if b"MSA|AA|" not in answer and b"MSA|CA|" not in answer:
        raise RuntimeError("a channel did not accept a message")


async def channels(folder: Path) -> Section:
    """An engine of 1,000 channels that has nothing to do."""
    figures: list[Figure] = []
    async with servers() as common:
        for name, where in (("embedded", None), ("RabbitMQ and PostgreSQL", common)):
            here = folder / name.partition(" ")[0]
            environ = {} if where is None else where.environ()
            few = await _idle(here / "few", 2, environ)
            environ = {} if where is None else where.environ()
            many = await _idle(here / "many", CHANNELS, environ)
            each = (many.rss - few.rss) / (CHANNELS - 2) / 1024
            figures += [
                at_most(f"{name}: start of {CHANNELS:,}", many.start, 20, "s"),
                plain(f"{name}: until each has carried a message", many.carried, "s"),
                plain(f"{name}: start of two", few.start, "s"),
                at_most(f"{name}: idle CPU", many.cpu, 5, "%"),
                plain(f"{name}: idle CPU with two", few.cpu, "%"),
                plain(f"{name}: memory of an idle channel", each, "KiB"),
                plain(f"{name}: RSS, against two channels", _both(many, few), "MiB"),
            ]
    title = f"{CHANNELS:,} channels in one engine: half MLLP in, half MLLP out, strict order"
    return Section("channels", title, tuple(figures))


def _both(many: Idle, few: Idle) -> str:
    return f"{many.rss / _MIB:,.0f} / {few.rss / _MIB:,.0f}"


async def connections(folder: Path) -> Section:
    """2,000 senders connected to one port at once, 500 messages a second over all of them."""
    raise_file_limit(3 * CONNECTIONS)  # inherited by the engine and the load
    async with rig(folder / "held", lean=True, connections=CONNECTIONS) as one:
        await one.load(connections=32, patients=1024, rate=200, seconds=3)
        before = one.usage()
        load = await one.load(
            connections=CONNECTIONS,
            patients=CONNECTIONS,
            rate=RATE,
            seconds=HELD_SECONDS,
            first=10**6,
        )
        after = one.usage()
        await one.drained(load["acknowledged"], timedelta(seconds=30))
    seconds = load["ended_at"] - load["began_at"]
    figures = (
        at_most("ACK p99", load["p99"], 250, "ms"),
        plain("ACK p50 / max", f"{load['p50']:.1f} / {load['max']:.1f} ms"),
        at_least("acknowledged", load["acknowledged"] / HELD_SECONDS, 0.99 * RATE, "msg/s"),
        at_most("connections lost", float(load["lost_connections"]), 0, ""),
        plain("engine CPU", (after.cpu_seconds - before.cpu_seconds) / seconds * 100, "%"),
        plain("memory of a connection", (after.rss - before.rss) / CONNECTIONS / 1024, "KiB"),
    )
    title = f"{CONNECTIONS:,} MLLP connections held at once, {RATE} msg/s over them, delivered too"
    return Section("connections", title, figures)


def raise_file_limit(wanted: int) -> None:
    """Raises RuntimeError when this machine does not allow so many files to a process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY,) and hard < wanted:
        raise RuntimeError(f"{wanted} open files are needed, and {hard} are allowed")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
