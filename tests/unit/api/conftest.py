"""A real uvicorn on a free port, in a loop of its own, for the whole room."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.api.access import Access, announced, new_token
from engine.api.app import control_app
from engine.api.engine import Reloaded
from engine.api.server import serve
from engine.settings import Listen
from tests.unit.api.scripted_engine import ScriptedEngine


class _Current:
    """Hands every call to the engine of the running test."""

    engine = ScriptedEngine()

    def __getattr__(self, name: str) -> object:
        return getattr(self.engine, name)


@dataclass(frozen=True)
class Running:
    data: Path
    port: int
    token: str
    current: _Current


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("data")
    token = new_token()
    current = _Current()
    started: list[Running] = []
    ready = threading.Event()
    stop = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def reload(actor: str) -> Reloaded:
        return await current.engine.reload(actor)

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        listen = Listen("127.0.0.1", 0)
        app = control_app(current, reload=reload, token=token, listen=listen)  # type: ignore[arg-type]
        async with serve(app, listen) as bound:
            with announced(data, Access(f"http://{bound}", token)):
                started.append(Running(data, bound.port, token, current))
                ready.set()
                await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    yield started[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def engine(running: Running) -> ScriptedEngine:
    running.current.engine = ScriptedEngine()
    return running.current.engine
