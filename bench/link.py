"""Two engines with a link between them: the projects of both, and how fast messages go over."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.project import LoadProject
from bench.report import Figure, Section, plain
from bench.rig import Rig, SinkProcess
from engine.contract import MessageStore, Query
from engine.demo.child import EngineChild, free_ports
from engine.store import open_store
from tests.conformance.certificates import Identity, certificates

CHANNEL: Final = "hospital-a"
_FIRST: Final = 1000  # messages before the clock starts
_COUNT: Final = 10_000

_LOAD_IN: Final = """\
system: LOAD
direction: inbound
connector: mllp
settings: {{host: 127.0.0.1, port: {intake}}}
format: hl7v2
duplicates: {{key: [MSH-10], within: 24h}}
"""
_TO_REGION: Final = """\
system: Region
direction: outbound
connector: carebus
settings:
  url: https://localhost:{port}
  channel: hospital-a
  compress: {compress}
  timeout: 5s
  tls: {{ca: tls/ca.pem, certificate: tls/own.pem, key: tls/own.key}}
format: hl7v2
ordering: {{key: patient, lanes: {lanes}}}
retry: {{first: 50ms, factor: 2, max: 500ms}}
"""
_FROM_A: Final = """\
system: HospitalA
direction: inbound
connector: carebus
settings:
  port: {port}
  peers: [client]
  tls: {{ca: tls/ca.pem, certificate: tls/own.pem, key: tls/own.key,
    require_client_certificate: true}}
format: hl7v2
unrouted: ignore
limits: {{connections: 200}}
"""
_ROUTES: Final = "routes: [{name: all, from: load-in, to: [{channel: to-region}]}]\n"


@dataclass(frozen=True, slots=True)
class Pair:
    """The hospital's engine, which gets messages over MLLP, and the region's, which keeps them."""

    hospital: EngineChild
    region: EngineChild
    intake: int


@asynccontextmanager
async def pair(
    root: Path, *, lanes: int = 8, compress: str = "gzip", over: tuple[int, int] | None = None
) -> AsyncIterator[Pair]:
    """Both engines, not started; stopped on leaving.  ``over``: the port of the region's engine,
    and the one by which it is reached, where something stands between."""
    made = certificates()
    intake, direct = free_ports(2)
    port, reached = over or (direct, direct)
    _write(
        root / "hospital",
        made.client,
        {
            "load-in": _LOAD_IN.format(intake=intake),
            "to-region": _TO_REGION.format(port=reached, lanes=lanes, compress=compress),
        },
        _ROUTES,
    )
    _write(root / "region", made.server, {CHANNEL: _FROM_A.format(port=port)}, "routes: []\n")
    async with _child(root / "region") as region, _child(root / "hospital") as hospital:
        yield Pair(hospital, region, intake)


def _write(root: Path, identity: Identity, channels: dict[str, str], routes: str) -> None:
    (root / "channels").mkdir(parents=True)
    (root / "tls").mkdir()
    for name, text in channels.items():
        (root / "channels" / f"{name}.yaml").write_text(text, "utf-8")
    (root / "routes.yaml").write_text(routes, "utf-8")
    shutil.copy(certificates().ca, root / "tls" / "ca.pem")
    shutil.copy(identity.certificate, root / "tls" / "own.pem")
    shutil.copy(identity.key, root / "tls" / "own.key")


def _child(root: Path) -> EngineChild:
    return EngineChild(root, root / "var", log=root / "engine.log")


@asynccontextmanager
async def stored(engine: EngineChild) -> AsyncIterator[MessageStore]:
    """The store of a stopped engine."""
    store = open_store(f"sqlite:///{engine.data / 'carebus.db'}", data=engine.data)
    await store.open()
    try:
        yield store
    finally:
        await store.close(timedelta(seconds=5))


async def accepted(engine: EngineChild) -> int:
    """How many messages its channels took in since it started; 0 while it does not say."""
    status = await engine.status()
    return sum(channel.accepted for channel in status.channels) if status else 0


async def link(folder: Path) -> Section:
    """Messages of 1 KB from one engine to the other, both on this machine, all durable at both."""
    figures: list[Figure] = []
    for lanes in (8, 32):
        where = folder / f"{lanes}"
        async with pair(where, lanes=lanes) as two:
            figures += await _measured(two, where, f"{lanes} lanes")
    return Section(
        "link",
        "Engine to engine: 1 KB ADT, MLLP → engine → mutual TLS → engine, loopback",
        tuple(figures),
        "A backlog goes over; both engines and their stores share the machine.",
    )


async def _measured(two: Pair, where: Path, name: str) -> tuple[Figure, ...]:
    """From some messages after the first to the last."""
    await two.hospital.start()
    await two.hospital.ready()
    hospital, region = (
        Rig(LoadProject(where, two.intake, 0), engine, SinkProcess("http"))
        for engine in (two.hospital, two.region)
    )
    loaded = await hospital.load(connections=32, patients=1024, count=_COUNT, seconds=120)
    await two.region.start()
    await two.region.ready()
    async with asyncio.timeout(180):
        begun = await _reaches(two.region, _FIRST)
        since, before = time.perf_counter(), (hospital.usage(), region.usage())
        ended = await _reaches(two.region, loaded["acknowledged"])
        seconds, after = time.perf_counter() - since, (hospital.usage(), region.usage())
    sending, receiving = (
        (then.cpu_seconds - now.cpu_seconds) / (ended - begun) * 1e6
        for now, then in zip(before, after, strict=True)
    )
    return (
        plain(f"{name}: over the link", f"{(ended - begun) / seconds:,.0f} msg/s"),
        plain(f"{name}: CPU per message", f"{sending:.0f} µs sending, {receiving:.0f} receiving"),
    )


async def _reaches(engine: EngineChild, count: int) -> int:
    """Return how many messages it took, when those are at least ``count``."""
    while True:
        now = await accepted(engine)
        if now >= count:
            return now
        await asyncio.sleep(0.02)


async def taken(store: MessageStore, channel: str) -> list[tuple[str, str]]:
    """Control id and message id of everything that the channel took, the oldest first."""
    found: list[tuple[str, str]] = []
    query = Query(channel=channel, limit=500)
    while page := await store.search(query):
        found += [(one.control_id, one.message_id) for one in page]
        query = Query(channel=channel, limit=500, before=page[-1].message_id)
    return found[::-1]
