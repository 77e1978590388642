"""The MLLP load generator: a process as thin as Python allows, so that it measures the engine.

Each connection sends one frame and waits for its acknowledgement, as hospital systems do.  Two
manners: as fast as the acknowledgements come (``--rate 0``), or a steady rate.  At a steady rate
the clock of a message starts when it was due, so a slow engine cannot hide by slowing the
generator down.  Messages of one patient always use the same connection: their order is defined.

Ends after ``--count`` messages or ``--seconds``, whichever comes first, and prints one JSON
object: what was sent and acknowledged, how long it took, and the acknowledgement times.
A negative answer (AE, AR) is counted and the same message is sent again 50 ms later.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import cast

import uvloop

from bench.messages import KINDS, MARK

CALM_SECONDS = 0.05  # before a refused message is sent again


class Load:
    """What all connections share: the next message, the bounds and the figures."""

    def __init__(
        self,
        frame: Callable[[int, int], bytes],
        *,
        first: int,
        count: int,
        connections: int,
        patients: int,
        rate: float,
        until: float,
    ) -> None:
        self.frame = frame
        self.first = first
        self.count = count
        self.connections = connections
        # whole rounds of the connections, so that a patient always has the same connection
        self.patients = max(connections, patients // connections * connections)
        self.rate = rate
        self.until = until
        self.started = 0
        self.acknowledged = 0
        self.refused = 0
        self.lost_connections = 0
        self.micros = array("I")
        self.finished = asyncio.get_running_loop().create_future()
        self.active = 0

    def settle(self) -> None:
        self.active -= 1
        if self.active == 0 and not self.finished.done():
            self.finished.set_result(None)


class Sender(asyncio.Protocol):
    """One connection: number ``index``, then every ``connections``-th number after it."""

    def __init__(self, load: Load, index: int) -> None:
        self._load = load
        self._number = load.first + index
        self._last = load.first + load.count
        self._transport: asyncio.Transport
        self._buffer = b""
        self._expected = b""
        self._since = 0.0
        self._busy = False
        self._ending = False
        self._ended = False
        self._due: deque[float] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = cast("asyncio.Transport", transport)
        self._load.active += 1

    def due(self, at: float) -> None:
        """A message is due at this time (steady rate)."""
        if self._busy:
            self._due.append(at)
        else:
            self.send(at)

    def send(self, since: float) -> None:
        load = self._load
        number = self._number
        if number >= self._last or since > load.until:
            self._end()
            return
        self._busy = True
        self._since = since
        self._expected = b"|%b%010d" % (MARK, number)
        load.started += 1
        self._transport.write(load.frame(number, number % load.patients))

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not data.endswith(b"\x1c\r"):
            self._buffer = data
            return
        self._buffer = b""
        now = time.perf_counter()
        load = self._load
        if b"MSA|AA" + self._expected in data or b"MSA|CA" + self._expected in data:
            load.acknowledged += 1
            load.micros.append(int((now - self._since) * 1e6))
            self._number += load.connections
            self._busy = False
            if not load.rate:
                self.send(now)
            elif self._due:
                self.send(self._due.popleft())
            elif self._ending:
                self._end()
        else:
            load.refused += 1
            asyncio.get_running_loop().call_later(CALM_SECONDS, self.send, self._since)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended:
            self._load.lost_connections += 1
            self._ended = True
            self._load.settle()

    def end(self) -> None:
        """No more messages will be due; those that are, still go out."""
        self._ending = True
        if not self._busy:
            self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._transport.close()
            self._load.settle()


async def steady(load: Load, senders: list[Sender]) -> None:
    """Make messages due at the load's rate, in ticks of a few milliseconds at most."""
    began = time.perf_counter()
    made = 0
    while made < load.count and time.perf_counter() < load.until:
        wanted = min(load.count, int((time.perf_counter() - began) * load.rate) + 1)
        now = time.perf_counter()
        while made < wanted:
            senders[made % len(senders)].due(now)
            made += 1
        await asyncio.sleep(max(0.0, began + made / load.rate - time.perf_counter()))
    for sender in senders:
        sender.end()


async def run(options: argparse.Namespace) -> dict[str, object]:
    """Send the load; the JSON object that the process prints."""
    loop = asyncio.get_running_loop()
    load = Load(
        KINDS[options.kind],
        first=options.first,
        count=options.count,
        connections=options.connections,
        patients=options.patients,
        rate=options.rate,
        until=time.perf_counter() + options.seconds,
    )
    senders: list[Sender] = []
    for index in range(options.connections):
        _, sender = await loop.create_connection(
            lambda index=index: Sender(load, index),  # type: ignore[misc]
            options.host,
            options.port,
        )
        senders.append(sender)
    began = time.perf_counter()
    load.until = began + options.seconds
    if options.rate:
        await asyncio.wait_for(steady(load, senders), options.seconds + 5)
    else:
        for sender in senders:
            sender.send(time.perf_counter())
    await asyncio.wait([load.finished], timeout=options.seconds + 15)
    return {
        "started": load.started,
        "acknowledged": load.acknowledged,
        "refused": load.refused,
        "lost_connections": load.lost_connections,
        "began_at": began,  # of the machine's monotonic clock
        "ended_at": time.perf_counter(),
        "cpu_seconds": time.process_time(),
        **percentiles(load.micros),
    }


def percentiles(micros: array[int]) -> dict[str, float]:
    """``p50``, ``p90``, ``p99``, ``max`` in milliseconds; empty when nothing was measured."""
    if not micros:
        return {}
    ordered = sorted(micros)
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    found = {
        name: ordered[min(len(ordered) - 1, int(len(ordered) * rank))] / 1000
        for name, rank in ranks.items()
    }
    return {**found, "max": ordered[-1] / 1000}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench.generator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", choices=sorted(KINDS), default="adt")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second; 0: no pause")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--patients", type=int, default=1024)
    parser.add_argument("--first", type=int, default=0, help="the first message's number")
    options = parser.parse_args(arguments)
    print(json.dumps(uvloop.run(run(options))))


if __name__ == "__main__":
    main(sys.argv[1:])
