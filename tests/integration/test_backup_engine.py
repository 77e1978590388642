"""Backups beside a running engine, by the commands that people use, and an engine that goes on
with what was restored."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from engine.broker.embedded import EmbeddedBroker
from engine.contract import Outcome
from engine.flow.engine import Engine
from engine.store import open_store
from tests.unit.flow.hospital import Push, Scripted, plain


async def carebus(*words: object) -> tuple[int, Any]:
    """A command in a process of its own: exit code, and the JSON it printed or its error's code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine.cli", *map(str, words),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    told = json.loads(out) if out else errors.decode().split("[")[1].split("]")[0]
    return process.returncode or 0, told


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_backups_under_load_and_an_engine_that_goes_on(tmp_path: Path) -> None:
    source, peer = Push(), Scripted()
    data, folder, new = tmp_path / "data", tmp_path / "backups", tmp_path / "new"
    engine = Engine(
        plain(source, peer, on_uncertain="retry"), open_store("sqlite://", data=data),
        EmbeddedBroker(),
    )  # fmt: skip
    started = asyncio.Event()
    running = asyncio.create_task(engine.run(started.set))
    await asyncio.wait_for(started.wait(), 10)
    accepted: list[str] = []
    ended = asyncio.Event()

    async def load() -> None:
        while not ended.is_set():
            text = f"message {len(accepted)}"
            assert (await source.push(text)).outcome is Outcome.ACCEPTED
            accepted.append(text)

    loading = asyncio.create_task(load())
    await until(lambda: len(accepted) > 20)
    first = await carebus("backup", folder, "--data", data)
    before = len(accepted)
    peer.gate.clear()  # from now on nothing is delivered
    await until(lambda: len(accepted) > before + 20)
    ended.set()
    await loading
    second = await carebus("backup", folder, "--data", data)
    assert (first[0], first[1]["kind"]) == (0, "full")
    assert (second[0], second[1]["kind"]) == (0, "incremental")
    code, verified = await carebus("backup", "--verify", folder)
    assert (code, [one["whole"] for one in verified["backups"]]) == (0, [True, True])
    delivered = list(peer.texts)
    peer.gate.set()
    engine.request_stop(fast=True)
    await running

    code, restored = await carebus("restore", folder, "--data", new)
    assert (code, restored["whole"]) == (0, True)
    assert restored["check"][0]["found"] == len(accepted)
    later = Scripted()
    again = Engine(
        plain(Push(), later, on_uncertain="retry"), open_store("sqlite://", data=new),
        EmbeddedBroker(),
    )  # fmt: skip
    started = asyncio.Event()
    running = asyncio.create_task(again.run(started.set))
    await asyncio.wait_for(started.wait(), 10)
    wanted = {text.upper() for text in accepted}
    await until(lambda: wanted <= {*delivered, *later.texts})
    assert all(sent.possible_duplicate for sent in later.delivered), "never as if it were the first"
    assert later.texts == sorted(later.texts, key=lambda text: int(text.split()[1])), "in order"
    again.request_stop(fast=True)
    await running
    code, refused = await carebus("restore", folder, "--data", new)
    assert (code, refused) == (1, "BACKUP-NOT-EMPTY"), "nothing is overwritten"
