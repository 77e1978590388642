"""How fast the store is: ``python -m bench.store`` prints one table.

Messages of 1 KB with one delivery and three search keys, every figure durable (SQLite: synchronous
FULL, PostgreSQL: fsync and synchronous_commit on), beside the fsync time of the same run.
Run it alone; it needs about a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import uvloop

from engine.contract import (
    ChannelName,
    Event,
    Message,
    MessageId,
    MessageStore,
    NewDelivery,
    NewMessage,
    Payload,
    Query,
    State,
    Stored,
)
from engine.store import open_store
from tests.servers.postgresql import PostgresServer

T = TypeVar("T")
BODY = bytes(range(32, 127)) * 10 + b"\r" * 50  # 1,000 bytes


def new_message(number: int) -> NewMessage:
    """The ``number``-th message: one patient of 50,000, its own visit."""
    return NewMessage(
        Message(
            MessageId(f"019a{number:08x}-0000-7000-8000-000000000000"),
            ChannelName("his-adt"),
            Payload(BODY, "x-application/hl7-v2+er7", "UTF-8"),
            datetime.now(UTC),
        ),
        State.RECEIVED,
        type="ADT^A01",
        peer="127.0.0.1:40000",
        control_id=f"MSG{number}",
        keys={"patient": f"P{number * 7919 % 50_000}", "visit": f"V{number}"},
        deliveries=(
            NewDelivery("admissions", "emr", ChannelName("emr-fhir"), number % 8, number % 4096),
        ),
        config_version="0123456789ab",
    )


def sent_event(stored: Stored) -> Event:
    """The outcome of its only delivery, with what was sent and what came back."""
    return Event(
        stored.deliveries[0],
        stored.message_id,
        State.SENT,
        datetime.now(UTC),
        attempt=1,
        sent=Payload(BODY, "application/fhir+json"),
        reply=Payload(b'{"resourceType":"OperationOutcome"}', "application/fhir+json"),
        remote_id="Bundle/1",
        mapping_version="0123456789ab",
        route_version="0123456789ab",
    )


@dataclass(frozen=True, slots=True)
class Figures:
    rate: float  # calls a second
    p50: float  # milliseconds of one call
    p99: float
    cpu: float  # of one core, the whole process

    def show(self, what: str, waiters: int) -> None:
        print(
            f"{what:<24}{waiters:>8}{self.rate:>12,.0f}{self.p50:>10.2f}{self.p99:>10.2f}"
            f"{self.cpu:>7.0%}"
        )


async def measured(
    waiters: int, things: Sequence[T], call: Callable[[T], Awaitable[object]]
) -> Figures:
    """``call`` each thing once, ``waiters`` calls at a time."""
    left = iter(things)
    took: list[float] = []

    async def wait_and_call() -> None:
        for thing in left:
            began = time.perf_counter()
            await call(thing)
            took.append(time.perf_counter() - began)

    cpu, began = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(waiters):
            group.create_task(wait_and_call())
    seconds = time.perf_counter() - began
    took.sort()
    return Figures(
        len(things) / seconds,
        median(took) * 1000,
        took[int(len(took) * 0.99)] * 1000,
        (time.process_time() - cpu) / seconds,
    )


def fsync_milliseconds(folder: Path) -> float:
    """Median of 100 fdatasync calls after a 4 KB write."""
    took = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
    return median(took) * 1000


async def run(data: Path, scale: float, url: str) -> None:
    print(f"fdatasync of 4 KB: {fsync_milliseconds(data):.2f} ms (median)")
    print(f"store: {url.partition(':')[0]}")
    store: MessageStore = open_store(url, data=data)
    began = time.perf_counter()
    await store.open()
    print(f"opening an empty store: {(time.perf_counter() - began) * 1000:.0f} ms")
    print(f"{'':<24}{'waiters':>8}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU':>7}")
    made = 0
    accepted: list[Stored] = []

    async def accept(new: NewMessage) -> None:
        accepted.append(await store.accept(new))

    for waiters, total in ((1, 4000), (8, 20_000), (32, 60_000), (256, 60_000)):
        count = int(total * scale)
        messages = [new_message(number) for number in range(made, made + count)]
        made += count
        (await measured(waiters, messages, accept)).show("accept", waiters)
    taken = 0
    for waiters, total in ((1, 4000), (32, 40_000), (256, 40_000)):
        count = int(total * scale)
        events = [sent_event(stored) for stored in accepted[taken : taken + count]]
        taken += count
        (await measured(waiters, events, store.record)).show("record SENT", waiters)
    events = [sent_event(stored) for stored in accepted[taken : taken + int(30_000 * scale)]]
    taken += len(events)
    batches = [events[start : start + 64] for start in range(0, len(events), 64)]
    (await measured(1, batches, store.record_all)).show("record_all of 64", 1)
    some = accepted[taken : taken + int(8000 * scale)]
    (await measured(32, some, lambda one: store.begin(one.deliveries[0], 1))).show("begin", 32)
    for waiters in (1, 8):
        figures = await measured(waiters, some, lambda one: store.load(one.message_id))
        figures.show("load", waiters)
    outbox = partial(store.outbox, ChannelName("emr-fhir"), after=0, limit=500)
    (await measured(1, [lane % 8 for lane in range(80)], outbox)).show("outbox of 500", 1)
    queries = [Query(keys={"patient": f"P{number}"}) for number in range(200)]
    (await measured(1, queries, store.search)).show("search by patient", 1)
    room = await store.room()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"database and WAL: {room.bytes_used >> 20} MB, peak RSS of this program: {peak} MB")
    await store.close(timedelta(seconds=10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder on the disk to be measured")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--postgresql", action="store_true", help="also a PostgreSQL server on the same machine"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.data or Path.cwd()) as folder:
        uvloop.run(run(Path(folder), arguments.scale, "sqlite://"))
    if arguments.postgresql:
        server = PostgresServer(durable=True, settings=("shared_buffers=512MB",))
        try:
            server.start()
            with tempfile.TemporaryDirectory(dir=arguments.data or Path.cwd()) as folder:
                uvloop.run(run(Path(folder), arguments.scale, server.create_database()))
        finally:
            server.remove()


if __name__ == "__main__":
    main()
