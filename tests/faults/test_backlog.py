"""A destination that is away while messages wait: memory stays bounded, order holds, it drains."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bench.rig import rig
from bench.sections import order_kept

WAITING = 5_000
PATIENTS = 64
MOST_GROWTH = 40 * 1024 * 1024  # bytes; the messages alone are 5 MB, and a queue of them far more


async def test_what_waits_stays_on_disk_and_drains_in_order(tmp_path: Path) -> None:
    async with rig(tmp_path / "project", sink_up=False) as one:
        await one.load(connections=8, patients=PATIENTS, count=500, seconds=30)  # warm
        before = one.usage().rss
        load = await one.load(
            connections=8, patients=PATIENTS, count=WAITING, first=8000, seconds=60
        )
        assert load["acknowledged"] == WAITING
        assert await one.sink.taken() == 0
        await one.shows_waiting(WAITING + 500, timedelta(seconds=20))
        grown = one.usage().rss - before
        await one.sink.command(f"up {one.project.sink}")
        await one.drained(WAITING + 500, timedelta(seconds=60))
        numbers = await one.sink.numbers(tmp_path)
    assert grown < MOST_GROWTH
    assert len(numbers) == len(set(numbers)) == WAITING + 500
    assert order_kept(numbers, PATIENTS)


async def test_a_peer_that_says_not_now_gets_everything_in_order_later(tmp_path: Path) -> None:
    async with rig(tmp_path / "project") as one:
        await one.sink.command("mode 503")
        load = await one.load(connections=8, patients=PATIENTS, count=500, seconds=30)
        assert load["acknowledged"] == 500
        await one.sink.command("mode ok")
        await one.drained(500, timedelta(seconds=60))
        numbers = await one.sink.numbers(tmp_path)
    assert sorted(numbers) == list(range(500))
    assert order_kept(numbers, PATIENTS)
