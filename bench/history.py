"""A real engine whose store holds a million messages, against one whose store is empty: start,
search by patient, acceptance.  Section ``history`` of `bench.run`."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.report import Figure, Section, at_least, at_most, plain
from bench.rig import Rig, rig
from bench.store import new_message, sent_event
from engine.api.client import ControlClient
from engine.contract import Stored
from engine.store import open_store

MESSAGES: Final = 1_000_000
ROUNDS: Final = 4
ROUND_SECONDS: Final = 6
_BATCH: Final = 500
_CONNECTIONS: Final = 32


async def fill(data: Path, messages: int) -> None:
    """Accept and deliver so many, as fast as the store takes them."""
    store = open_store("sqlite://", data=data)
    await store.open()
    await store.recover()
    for start in range(0, messages, _BATCH):
        stored: Sequence[Stored] = await asyncio.gather(
            *[store.accept(new_message(number)) for number in range(start, start + _BATCH)]
        )
        await store.record_all([sent_event(one) for one in stored])
    await store.close(timedelta(seconds=60))


async def _accepting(one: Rig, first: int) -> float:
    """Messages a second with the destination away: acceptance alone."""
    load = await one.load(
        connections=_CONNECTIONS, patients=1024, seconds=ROUND_SECONDS, first=first
    )
    return float(load["acknowledged"] / (load["ended_at"] - load["began_at"]))


async def history(folder: Path, messages: int = MESSAGES) -> Section:
    """Both engines run at the same time and take turns, so that the machine's moods hit both."""
    full_folder, empty_folder = folder / "full", folder / "empty"
    await fill(full_folder / "var", messages)
    began = time.perf_counter()
    async with rig(full_folder, sink_up=False, lean=True) as full:
        started = time.perf_counter() - began
        client = ControlClient(full.project.data, actor="bench")
        searches = []
        for number in range(0, messages, messages // 20):
            patient = new_message(number).keys["patient"]
            began = time.perf_counter()
            found = await asyncio.to_thread(client.search, {"patient": patient})
            searches.append((time.perf_counter() - began) * 1000)
            assert found["messages"]
        async with rig(empty_folder, sink_up=False, lean=True) as empty:
            rates: dict[str, list[float]] = {"full": [], "empty": []}
            for number in range(ROUNDS):
                turns = [("full", full), ("empty", empty)]
                for name, one in turns if number % 2 else reversed(turns):
                    rates[name].append(await _accepting(one, (number + 1) * 1_000_000))
    full_rate, empty_rate = (statistics.median(rates[name]) for name in ("full", "empty"))
    figures: tuple[Figure, ...] = (
        at_most("start of the process until ready", started, 5, "s"),
        at_most("search by patient, slowest of 20", max(searches), 1000, "ms"),
        plain("search by patient, median", statistics.median(searches), "ms"),
        plain("accepting, empty / full", f"{empty_rate:,.0f} / {full_rate:,.0f} msg/s"),
        at_least("accepting, full against empty", full_rate / empty_rate * 100, 90, "%"),
    )
    return Section("history", f"An engine with {messages:,} stored messages", figures)
