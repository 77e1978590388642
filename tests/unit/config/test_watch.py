"""Edits of the project are noticed; the traffic beside it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

from engine.config.watch import watch
from tests.unit.config.projects import INBOUND, ROUTES, write

FAST = timedelta(milliseconds=30)


async def until(
    changes: AsyncIterator[frozenset[str]], wanted: str, edit: Callable[[int], None]
) -> set[str]:
    """Everything noticed until ``wanted`` is.  The edit is repeated, since nothing tells when the
    watching began."""
    seen: set[str] = set()

    async def collect() -> None:
        async for burst in changes:
            seen.update(burst)
            if wanted in seen:
                return

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(collect())
        count = 0
        while not task.done():
            count += 1
            edit(count)
            await asyncio.wait([task], timeout=0.1)
    return seen


async def test_edits_are_noticed_and_the_store_is_not(tmp_path: Path) -> None:
    root = write(tmp_path, {})
    (root / "var").mkdir()

    def edit(count: int) -> None:
        (root / "var" / "carebus.db").write_text(str(count), "utf-8")
        (root / "var" / "x.yaml").write_text(str(count), "utf-8")
        (root / "notes.txt").write_text(str(count), "utf-8")
        (root / "routes.yaml").write_text(f"{ROUTES}# {count}\n", "utf-8")

    async with aclosing(watch(root, settle=FAST)) as changes:
        assert await until(changes, "routes.yaml", edit) == {"routes.yaml"}


async def test_new_folders_are_watched(tmp_path: Path) -> None:
    root = write(tmp_path, {})
    sites = root / "mappings" / "sites"

    def touch(count: int) -> None:
        (root / "channels" / "lis.yaml").write_text(f"{INBOUND}# {count}\n", "utf-8")

    def make(count: int) -> None:
        sites.mkdir(exist_ok=True)
        (sites / "north.yaml").write_text(f"# {count}\n", "utf-8")

    async with aclosing(watch(root, settle=FAST)) as changes:
        await until(changes, "channels/lis.yaml", touch)  # now it watches
        await until(changes, "mappings/sites/north.yaml", make)


async def test_watching_ends_when_it_is_told(tmp_path: Path) -> None:
    root = write(tmp_path, {})
    stop = asyncio.Event()

    async def collect() -> list[frozenset[str]]:
        return [burst async for burst in watch(root, settle=FAST, stop=stop)]

    async with asyncio.timeout(20):
        task = asyncio.create_task(collect())
        await asyncio.sleep(0)
        stop.set()
        assert await task == []
