"""A store that holds a million messages against an empty one: ``python -m bench.store_million``.

Prints, in one run: how long it takes to open, to search, to accept (32 waiters) beside an empty
store.  Needs about three minutes and 4 GB of disk; ``--messages`` makes it shorter.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import uvloop

from bench.store import fsync_milliseconds, measured, new_message, sent_event
from engine.contract import ChannelName, MessageStore, Query, State, Stored
from engine.store import open_store

GRACE = timedelta(seconds=60)
ROUNDS = 5
BATCH = 500


async def fill(store: MessageStore, messages: int) -> Stored:
    """Accept and deliver all but the newest hundredth, which goes on waiting."""
    began = time.perf_counter()
    stored: Sequence[Stored] = ()
    for start in range(0, messages, BATCH):
        stored = await asyncio.gather(
            *[store.accept(new_message(number)) for number in range(start, start + BATCH)]
        )
        if start < messages * 0.99:
            await store.record_all([sent_event(one) for one in stored])
    seconds = time.perf_counter() - began
    print(f"filled with {messages:,} messages in {seconds:.0f} s ({messages / seconds:,.0f}/s)")
    return stored[0]


async def opened(data: Path) -> tuple[MessageStore, float]:
    store: MessageStore = open_store("sqlite://", data=data)
    began = time.perf_counter()
    await store.open()
    await store.recover()
    return store, (time.perf_counter() - began) * 1000


async def accept_rate(store: MessageStore, start: int, count: int) -> float:
    messages = [new_message(start + number) for number in range(count)]
    return (await measured(32, messages, store.accept)).rate


async def search_times(store: MessageStore, newest: Stored) -> None:
    now = datetime.now(UTC)
    queries = {
        "patient": Query(keys={"patient": "P77"}),
        "patient, all of them": Query(keys={"patient": "P78"}, limit=1000),
        "unknown patient": Query(keys={"patient": "nobody"}),
        "visit": Query(keys={"visit": "V12345"}),
        "control id": Query(control_id="MSG345"),
        "message id": Query(message_id=newest.message_id),
        "inbound channel": Query(channel="his-adt"),
        "outbound channel": Query(channel="emr-fhir"),
        "type": Query(type="ADT^A01"),
        "unknown type": Query(type="ADT^A99"),
        "state dead": Query(state=State.DEAD),
        "state queued": Query(state=State.QUEUED),
        "last minute": Query(since=now - timedelta(minutes=1)),
        "another year": Query(until=now - timedelta(days=365)),
        "everything": Query(),
    }
    for name, query in queries.items():
        took = []
        found = 0
        for _ in range(5):
            began = time.perf_counter()
            found = len(await store.search(query))
            took.append((time.perf_counter() - began) * 1000)
        first, after = took[0], median(took)
        print(f"  search by {name:<24}{first:>8.1f} ms first{after:>8.1f} ms after, {found} found")


async def run(folder: Path, messages: int) -> None:
    print(f"fdatasync of 4 KB: {fsync_milliseconds(folder):.2f} ms (median)")
    full, empty = folder / "full", folder / "empty"
    store, took = await opened(full)
    newest = await fill(store, messages)
    await store.close(GRACE)
    store, took = await opened(full)
    print(f"opened with {messages:,} messages in {took:.0f} ms")
    await search_times(store, newest)
    began = time.perf_counter()
    await store.backlog()
    print(f"  backlog {(time.perf_counter() - began) * 1000:.1f} ms")
    other, _ = await opened(empty)
    rates: dict[str, list[float]] = {"empty": [], "full": []}
    count = min(20_000, messages)
    for turn in range(ROUNDS + 1):  # the first, in which statements are prepared, does not count
        start = messages + turn * count
        pair = [("empty", other), ("full", store)]
        for name, one in pair if turn % 2 else reversed(pair):
            rates[name].append(await accept_rate(one, start, count))
    of_empty, of_full = median(rates["empty"][1:]), median(rates["full"][1:])
    print(f"accepted per second, 32 waiters, median of {ROUNDS} turns of {count:,}:")
    print(f"  empty {of_empty:,.0f}, full {of_full:,.0f} ({of_full / of_empty - 1:+.1%})")
    await other.close(GRACE)
    began = time.perf_counter()
    lane = await store.outbox(ChannelName("emr-fhir"), 0, after=0, limit=500)
    print(f"  outbox, {len(lane)} of a lane: {(time.perf_counter() - began) * 1000:.1f} ms")
    began = time.perf_counter()
    purged = await store.purge(datetime.now(UTC), content_only=True, limit=500)
    print(f"  purged the content of {purged} in {(time.perf_counter() - began) * 1000:.0f} ms")
    began = time.perf_counter()
    purged = await store.purge(datetime.now(UTC), content_only=False, limit=500)
    print(f"  purged {purged} messages in {(time.perf_counter() - began) * 1000:.0f} ms")
    size = (full / "carebus.db").stat().st_size
    print(f"database: {size >> 20:,} MB, WAL: {(full / 'carebus.db-wal').stat().st_size >> 20} MB")
    await store.close(GRACE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder on the disk to be measured")
    parser.add_argument("--messages", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.data or Path.cwd()) as folder:
        uvloop.run(run(Path(folder), arguments.messages))


if __name__ == "__main__":
    main()
