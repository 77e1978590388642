"""The faults: what is done to a hospital in one round.

A strike returns when what it broke is whole again; the round ends when messages move again.
Moments are drawn from the hall's seeded chance.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final

import psutil  # type: ignore[import-untyped]

from engine.demo.sender import END, START
from tests.faults.hall import Hall


class Needs(Enum):
    """What a hospital must be made of."""

    ALONE = "embedded broker, SQLite"
    SERVERS = "RabbitMQ, PostgreSQL"
    CLUSTER = "three RabbitMQ nodes, PostgreSQL"


_PORTS: Final = 3  # of an engine process: its two sources, the control endpoint
_BALLAST: Final = bytes(64 * 1024)

Strike = Callable[[Hall], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """``answer_within``: how long the engine waits for the receiver.  ``clock``: the engine reads a
    clock that the fault sets.  ``disk``: its data are on a small disk of their own."""

    name: str
    what: str
    strike: Strike
    needs: Needs = Needs.ALONE
    engines: int = 1
    processes: int = 1
    answer_within: str = "2s"
    clock: bool = False
    disk: bool = False


# --- the engine ---------------------------------------------------------------------------------


async def engine_killed(hall: Hall) -> None:
    await hall.pause(0.05, 0.6)
    await hall.engine.kill()
    await hall.engine.start()
    await hall.engine.ready()


async def engine_stopped(hall: Hall) -> None:
    await hall.pause(0.05, 0.6)
    status = await hall.engine.stop(timedelta(seconds=30))
    assert status == 0, hall.engine.last_words()
    await hall.engine.start()
    await hall.engine.ready()


async def one_engine_killed(hall: Hall) -> None:
    """One of two; it comes back when the other has taken over."""
    await hall.pause(0.05, 0.6)
    victim = hall.chance.choice(hall.engines)
    await victim.kill()
    await hall.moving()
    await victim.start()
    await victim.ready()


async def process_killed(hall: Hall) -> None:
    """One engine process of a node; the other goes on, and its supervisor starts it again."""
    await hall.pause(0.05, 0.6)
    children = psutil.Process(hall.engine.pid).children()
    os.kill(hall.chance.choice(children).pid, signal.SIGKILL)
    await hall.moving()
    await all_processes(hall, len(children))


async def process_stood_still(hall: Hall) -> None:
    """One of two for longer than its lease, as on a machine that hangs; then it goes on."""
    await hall.pause(0.05, 0.6)
    children = psutil.Process(hall.engine.pid).children()
    still = hall.chance.choice(children).pid
    os.kill(still, signal.SIGSTOP)
    await hall.pause(5.5, 7.0)
    os.kill(still, signal.SIGCONT)
    async with asyncio.timeout(60):
        while psutil.pid_exists(still):  # the others gave it up: it ends
            await asyncio.sleep(0.05)
    await all_processes(hall, len(children))


async def all_processes(hall: Hall, count: int) -> None:
    """Return when so many take messages."""
    async with asyncio.timeout(60):
        while _listeners(hall) < count:
            await asyncio.sleep(0.1)


def _listeners(hall: Hall) -> int:
    """How many of the node's engine processes take messages."""
    children = psutil.Process(hall.engine.pid).children()
    with contextlib.suppress(psutil.Error):
        listening = [
            sum(one.status == psutil.CONN_LISTEN for one in child.net_connections("tcp"))
            for child in children
        ]
        return sum(ports >= _PORTS for ports in listening)
    return 0


async def configuration_reloaded(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    for engine in hall.engines:
        channel = engine.project / "channels" / "emr.yaml"
        text = channel.read_text("utf-8")
        first = "first: 60ms" if "first: 50ms" in text else "first: 50ms"
        channel.write_text(text.replace("first: 50ms", first).replace("first: 60ms", first))
        os.kill(engine.pid, signal.SIGHUP)


async def rolling_restart(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    before = {child.pid for child in psutil.Process(hall.engine.pid).children()}
    os.kill(hall.engine.pid, signal.SIGUSR1)
    async with asyncio.timeout(120):
        while before & {child.pid for child in psutil.Process(hall.engine.pid).children()}:
            await asyncio.sleep(0.1)


async def clock_jumped(hall: Hall) -> None:
    """The machine's clock is set, an hour forth or back; ``clock`` is what the engine reads."""
    await hall.pause(0.05, 0.4)
    clock = hall.root / "clock"
    jump = hall.chance.choice(("+3600", "-3600", "+86400", "+0", "-60"))
    clock.write_text(jump)
    await asyncio.sleep(0.5)


async def disk_full(hall: Hall) -> None:
    """Not a byte is left on the disk of the store."""
    await hall.pause(0.05, 0.4)
    ballast = hall.engine.data.parent / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(_BALLAST)
    await hall.pause(0.3, 2.0)
    ballast.unlink()


async def poison(hall: Hall) -> None:
    """Bytes that are no message, a message that is cut off, one that no mapping can take."""
    await hall.pause(0.0, 0.2)
    port = int(
        (hall.engine.project / "channels" / "his-in.yaml")
        .read_text()
        .partition("port: ")[2]
        .partition("}")[0]
    )
    bodies = (
        b"\xff" * 64,
        b"MSH|^~\\&|X|Y|CAREBUS|Z|20260101||ADT^A01^ADT_A01|POISON%d|P|2.5.1\rPID|1\r"
        % hall.chance.randrange(10**9),
        b"MSH|^~\\&|",
    )
    for body in bodies:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(START + body + (END if hall.chance.random() < 0.8 else b""))
        try:
            async with asyncio.timeout(1):
                await reader.readuntil(END)
        except (TimeoutError, EOFError, OSError):
            pass
        writer.close()


# --- the receiver -------------------------------------------------------------------------------


async def receiver_down(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    await hall.sink.down()
    await hall.pause(0.1, 1.0)
    await hall.sink.up(hall.sink_port)


async def receiver_slow(hall: Hall) -> None:
    hall.sink.delay = hall.chance.uniform(0.02, 0.2)
    await hall.pause(0.3, 0.8)
    hall.sink.delay = 0.0


def _answering(mode: str) -> Strike:
    async def strike(hall: Hall) -> None:
        await hall.pause(0.05, 0.3)
        hall.sink.mode = mode
        await hall.pause(0.1, 0.6)
        hall.sink.mode = "ok"

    return strike


async def receiver_late(hall: Hall) -> None:
    """It answers, after the engine stopped waiting."""
    hall.sink.delay = 0.5
    await hall.pause(0.4, 1.0)
    hall.sink.delay = 0.0
    await asyncio.sleep(0.6)


# --- the broker ---------------------------------------------------------------------------------


async def broker_stopped(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    node = hall.servers.rabbitmq[0]
    await asyncio.to_thread(node.stop)
    await hall.pause(0.0, 1.0)
    await asyncio.to_thread(node.start)


async def broker_killed(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    node = hall.servers.rabbitmq[0]
    await asyncio.to_thread(node.kill)
    await hall.pause(0.0, 1.0)
    await asyncio.to_thread(node.start)


async def broker_hangs(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    node = hall.servers.rabbitmq[0]
    node.pause()
    try:
        await hall.pause(0.5, 2.0)
    finally:
        node.go_on()


async def one_broker_killed(hall: Hall) -> None:
    """One node of three; the others carry on, and it comes back."""
    await hall.pause(0.05, 0.4)
    node = hall.chance.choice(hall.servers.rabbitmq)
    await asyncio.to_thread(node.kill)
    await hall.moving()
    await asyncio.to_thread(node.start)


# --- the store ----------------------------------------------------------------------------------


async def store_restarted(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    server = hall.servers.postgresql
    assert server is not None
    await asyncio.to_thread(server.restart)


async def store_killed(hall: Hall) -> None:
    await hall.pause(0.05, 0.4)
    server = hall.servers.postgresql
    assert server is not None
    await asyncio.to_thread(server.kill)
    await hall.pause(0.0, 0.5)
    await asyncio.to_thread(server.start)


FAULTS: Final = (
    Fault("engine-killed", "the engine is killed (SIGKILL)", engine_killed),
    Fault("engine-stopped", "the engine is stopped and started in full load", engine_stopped),
    Fault("reload", "the configuration is reloaded in full load", configuration_reloaded),
    Fault("clock", "the clock is set forth and back by up to a day", clock_jumped, clock=True),
    Fault("disk-full", "the disk of the store is full", disk_full, disk=True),
    Fault("poison", "messages that cannot be read or mapped", poison),
    Fault("receiver-down", "the receiver is down", receiver_down),
    Fault("receiver-slow", "the receiver is slow", receiver_slow),
    Fault("receiver-errors", "the receiver answers 503", _answering("503")),
    Fault(
        "receiver-cuts", "the receiver takes the request and breaks the connection",
        _answering("cut"),
    ),
    Fault(
        "receiver-silent", "the receiver takes the request and never answers",
        _answering("silent"), answer_within="300ms",
    ),
    Fault(
        "receiver-late", "the receiver answers after the engine stopped waiting", receiver_late,
        answer_within="300ms",
    ),
    Fault("servers-engine-killed", "the engine is killed (SIGKILL)", engine_killed, Needs.SERVERS),
    Fault(
        "one-engine-killed", "one of two engines is killed", one_engine_killed, Needs.SERVERS,
        engines=2,
    ),
    Fault(
        "process-killed", "one of two engine processes is killed", process_killed, Needs.SERVERS,
        processes=2,
    ),
    Fault(
        "process-still", "one of two engine processes stands still and goes on (SIGSTOP)",
        process_stood_still, Needs.SERVERS, processes=2,
    ),
    Fault(
        "rolling-restart", "the engine processes are exchanged in full load", rolling_restart,
        Needs.SERVERS, processes=2,
    ),
    Fault("broker-stopped", "RabbitMQ is stopped and started", broker_stopped, Needs.SERVERS),
    Fault("broker-killed", "RabbitMQ is killed (SIGKILL)", broker_killed, Needs.SERVERS),
    Fault("broker-hangs", "RabbitMQ hangs", broker_hangs, Needs.SERVERS),
    Fault("store-restarted", "PostgreSQL is restarted", store_restarted, Needs.SERVERS),
    Fault("store-killed", "PostgreSQL is killed (SIGKILL)", store_killed, Needs.SERVERS),
    Fault(
        "one-broker-killed", "one of three RabbitMQ nodes is killed", one_broker_killed,
        Needs.CLUSTER,
    ),
)  # fmt: skip
"""Every fault of the table, in its order."""
