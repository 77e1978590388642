"""One engine process with a real store and endpoint: its start, its reloads, its end.

The project is empty: what channels do is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.api.access import URL_FILE, Access, read_access
from engine.api.client import ControlClient, Refusal
from engine.cli.process import EngineProcess
from engine.cli.signals import signals_for
from engine.config.model import Configuration, Loaded
from engine.contract import ConfigError, ErrorInfo, Stage, StoreUnavailable
from engine.settings import read_settings
from engine.syntax import Diagnostics, Position


class Project:
    """What a reload reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable = False
        self.become("v1")

    def become(self, version: str) -> None:
        self.loaded = Loaded(Configuration(self.root, {}, (), {}, version), (), {})

    def break_(self) -> None:
        diagnostics = Diagnostics()
        diagnostics.add("C002", Position("routes.yaml", 1, 1), "there is no routes.yaml here")
        self.loaded = Loaded(None, diagnostics.items, {})

    def load(self) -> Loaded:
        if self.unreadable:
            raise ConfigError(ErrorInfo("P003", "a line of .env is wrong", Stage.STARTING))
        return self.loaded


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def process(project: Project, listen: str = "127.0.0.1:0") -> EngineProcess:
    settings = read_settings(project.root, project.root, {"CAREBUS_API_LISTEN": listen})
    configuration = project.loaded.configuration
    assert configuration is not None
    return EngineProcess(settings, configuration, project.load)


@asynccontextmanager
async def running(
    project: Project, *, watching: bool = False, stop: signal.Signals = signal.SIGTERM
) -> AsyncIterator[ControlClient]:
    """The process runs for the length of the block, and drains on ``stop``."""
    ready = asyncio.Event()
    one = process(project)
    with signals_for(one):
        task = asyncio.create_task(one.run(watching=watching, started=lambda bound: ready.set()))
        async with asyncio.timeout(10):
            await ready.wait()
            yield ControlClient(project.root, actor="anna")
            os.kill(os.getpid(), stop)
            await task


async def version(client: ControlClient) -> str:
    return (await asyncio.to_thread(client.status)).version


async def until(client: ControlClient, wanted: str) -> None:
    while await version(client) != wanted:
        await asyncio.sleep(0.01)


async def test_it_announces_itself_and_takes_its_word_back(project: Project) -> None:
    async with running(project) as client:
        assert await version(client) == "v1"
        assert read_access(project.root) is not None
    assert read_access(project.root) is None


class Told:
    def __init__(self) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def stop(self, *, fast: bool) -> None:
        self.heard.put_nowait("fast" if fast else "drain")

    def hang_up(self) -> None:
        self.heard.put_nowait("reload")

    def exchange(self) -> None:
        self.heard.put_nowait("exchange")


async def test_the_second_signal_is_not_patient() -> None:
    told = Told()
    with signals_for(told):
        for number, expected in (
            (signal.SIGHUP, "reload"),
            (signal.SIGUSR1, "exchange"),
            (signal.SIGINT, "drain"),
            (signal.SIGTERM, "fast"),
        ):
            os.kill(os.getpid(), number)
            assert await asyncio.wait_for(told.heard.get(), 5) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_it(project: Project, number: signal.Signals) -> None:
    async with running(project, stop=number) as client:
        await version(client)
    assert read_access(project.root) is None


async def test_hangup_reloads(project: Project) -> None:
    async with running(project) as client:
        project.become("v2")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(client, "v2")


async def test_a_changed_file_reloads_when_watched(project: Project) -> None:
    (project.root / "channels").mkdir()
    async with running(project, watching=True) as client:
        project.become("v2")
        number = 0
        async with asyncio.timeout(10):
            while await version(client) != "v2":  # the watch may begin after the first change
                number += 1
                (project.root / "channels" / "a.yaml").write_text(f"# {number}\n")
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "harm", [Project.break_, lambda project: vars(project).update(unreadable=True)]
)
async def test_a_wrong_project_leaves_the_old_one_running(
    project: Project, harm: Callable[[Project], None]
) -> None:
    async with running(project) as client:
        harm(project)
        with pytest.raises(Refusal) as refused:
            await asyncio.to_thread(client.reload)
        assert refused.value.code == "P018"
        assert await version(client) == "v1"


async def test_a_second_engine_leaves_the_first_ones_files(project: Project) -> None:
    async with running(project) as client:
        before = read_access(project.root)
        with pytest.raises(StoreUnavailable, match="STORE-LOCKED"):
            await process(project).run(watching=False, started=lambda bound: None)
        assert read_access(project.root) == before
        assert await version(client) == "v1"


async def test_a_port_in_use_is_told_before_anything_is_touched(project: Project) -> None:
    async def nobody(*_: object) -> None: ...

    server = await asyncio.start_server(nobody, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ConfigError, match="P020"):
            await process(project, f"127.0.0.1:{port}").run(
                watching=False, started=lambda bound: None
            )
    assert not (project.root / URL_FILE).exists()


def test_an_access_does_not_show_its_token() -> None:
    assert "secret" not in repr(Access("http://127.0.0.1:1", "secret"))
