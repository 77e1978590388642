"""A source that only one process may run moves to a living node when its process is killed."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

from engine.demo.child import EngineChild
from engine.flow.status import ChannelState
from tests.servers.rabbitmq import shared_node

IN = """\
system: LIS
direction: inbound
connector: file
settings: {{directory: "{folder}", pattern: "*.json", ready: rename, poll: 100ms}}
format: json
"""
OUT = """\
system: EMR
direction: outbound
connector: file
settings: {{directory: "{folder}", name: "{{message_id}}.json"}}
format: json
"""
ROUTES = """\
routes:
  - {name: all, from: lis, to: [{channel: emr}]}
"""
WITHIN = 10.0


def put(folder: Path, number: int) -> None:
    hidden = folder / f".{number}"
    hidden.write_text(f'{{"id": "{number}"}}')
    hidden.rename(folder / f"{number}.json")


async def arrived(folder: Path, count: int, within: float) -> None:
    async with asyncio.timeout(within):
        while len([name for name in os.listdir(folder) if name.endswith(".json")]) < count:
            await asyncio.sleep(0.02)


async def test_a_file_source_moves_to_a_living_node(database: str, tmp_path: Path) -> None:
    into, out, project = (tmp_path / name for name in ("in", "out", "project"))
    for folder in (into, out, project / "channels"):
        folder.mkdir(parents=True)
    (project / "channels" / "lis.yaml").write_text(IN.format(folder=into))
    (project / "channels" / "emr.yaml").write_text(OUT.format(folder=out))
    (project / "routes.yaml").write_text(ROUTES)
    environ = {
        "CAREBUS_STORE_URL": database,
        "CAREBUS_BROKER_URL": f"{shared_node().url}?prefix=moves{os.getpid()}",
    }
    nodes = [
        EngineChild(project, tmp_path / name, log=tmp_path / f"{name}.log", environ=environ)
        for name in ("one", "two")
    ]
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node)
            await node.start()
            await node.ready()
        put(into, 1)
        await arrived(out, 1, 20)
        async with asyncio.timeout(10):  # each process says once a second what it counted
            while True:
                status = await nodes[1].status()
                if status is not None and sum(each.received for each in status.channels) == 1:
                    break
                await asyncio.sleep(0.05)
        assert [node.here for node in status.nodes] == [False, True]
        began = time.monotonic()
        await nodes[0].kill()
        put(into, 2)
        await arrived(out, 2, WITHIN)
        print(f"the source moved within {time.monotonic() - began:.1f} s")
        async with asyncio.timeout(10):
            while True:
                status = await nodes[1].status()
                if status is not None and len(status.nodes) == 1:
                    break
                await asyncio.sleep(0.05)
        assert all(each.state is ChannelState.RUNNING for each in status.channels)
