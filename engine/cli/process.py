"""One engine process: the engine, its control endpoint and its reloads, in one loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from engine.api.access import Access, announced, new_token
from engine.api.app import control_app
from engine.api.engine import Reloaded
from engine.api.server import serve
from engine.cli.broker import open_broker
from engine.cli.collector import spare_the_collector
from engine.cli.leash import Leash
from engine.config.model import Configuration, Loaded
from engine.config.watch import watch
from engine.contract import ConfigError, ErrorInfo, Stage
from engine.flow.engine import Engine, EngineRole
from engine.settings import Listen, Settings
from engine.store import failures, open_store
from engine.store.membership import Membership
from engine.syntax.code import Severity


class EngineProcess:
    """Runs one configuration until `stop`, exchanging it after `hang_up`, by request, or when files
    change.  ``load`` reads the project again; it is called in a thread and never raises for what
    people wrote, except ConfigError for an unreadable ``.env``.  ``leash``: this is one of several
    processes under a supervisor, which share every port."""

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        load: Callable[[], Loaded],
        *,
        role: EngineRole = "all",
        leash: Leash | None = None,
    ) -> None:
        self._settings = settings
        self._load = load
        self._log: Any = structlog.get_logger("carebus")
        store = open_store(settings.store_url, data=settings.data)
        self._engine = Engine(
            configuration,
            store,
            open_broker(settings.broker_url, settings.config),
            role=role,
            shares_port=leash is not None,
            leases=store.members,
            data=settings.data,
            members=store.members,
        )
        self._members = store.members
        self._leash = leash
        self._reloading = asyncio.Lock()
        self._hangup = asyncio.Event()

    async def run(self, *, watching: bool, started: Callable[[Listen], None]) -> None:
        """Return after the drain.  ``started`` gets the control endpoint's address once the
        engine owns its data and every channel has been told to open.

        Raises ConfigError and StoreUnavailable when it cannot start; StoreUnavailable also when
        the other engines on its store gave it up.
        """
        settings = self._settings
        self._engine.configuration.prepare()
        supervised = self._leash is not None
        token = new_token() if self._leash is None else _token_of(self._leash)
        app = control_app(self._engine, reload=self.reload, token=token, listen=settings.api_listen)
        if not settings.api_listen.loopback:
            self._log.warning(
                "the control endpoint can be reached from other machines, in clear text",
                listen=str(settings.api_listen),
            )
        with contextlib.ExitStack() as stack:
            async with serve(app, settings.api_listen, shared=supervised) as bound:
                if self._leash is not None:
                    self._leash.hold(lambda: self.stop(fast=False))

                def running() -> None:
                    spare_the_collector()
                    if self._leash is None:
                        # Only now the data directory is ours: another engine's files stay.
                        stack.enter_context(announced(settings.data, Access(url_of(bound), token)))
                    else:
                        self._leash.running()
                    self._log.info("engine started", control=url_of(bound), version=self._version)
                    started(bound)

                listening = asyncio.create_task(self._listen(watching), name="reloads")
                try:
                    await self._engine.run(running)
                finally:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
                if self._members is not None and self._members.given_up.is_set():
                    raise failures.fenced()
        self._log.info("engine stopped")

    async def reload(self, actor: str) -> Reloaded:
        """Read the project and give it to the engine, all of it or nothing; one at a time."""
        async with self._reloading:
            try:
                loaded = await asyncio.to_thread(self._load)
            except ConfigError as error:
                self._log.error("reload refused; the old configuration runs on", error=error)
                return Reloaded(False, self._version)
            if loaded.configuration is None:
                wrong = [one for one in loaded.diagnostics if one.severity is Severity.ERROR]
                self._log.error(
                    "reload refused; the old configuration runs on",
                    actor=actor,
                    errors=len(wrong),
                    first=f"{wrong[0].position}: {wrong[0].code}" if wrong else None,
                )
                return Reloaded(False, self._version, loaded.diagnostics)
            # Also with the same version: a secret that a file or variable holds may be another.
            await asyncio.to_thread(loaded.configuration.prepare)
            orphans = await self._engine.reload(loaded.configuration)
            self._log.info("reloaded", actor=actor, version=self._version)
            return Reloaded(True, self._version, loaded.diagnostics, tuple(map(str, orphans)))

    @property
    def _version(self) -> str:
        return self._engine.configuration.version

    def stop(self, *, fast: bool) -> None:
        """End `run`: drain, or cut off what is being sent.  May be repeated."""
        self._engine.request_stop(fast=fast)

    def hang_up(self) -> None:
        """Reload soon."""
        self._hangup.set()

    def exchange(self) -> None:
        """Only a supervisor exchanges processes."""
        self._log.warning("not supervised: a process of its own is exchanged by a stop and a start")

    async def _listen(self, watching: bool) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reload_on_hangup())
            if self._members is not None:
                tasks.create_task(self._end_when_given_up(self._members))
            if watching:
                tasks.create_task(self._reload_on_change())

    async def _end_when_given_up(self, members: Membership) -> None:
        """Nothing that is sent from now on could be recorded."""
        await members.given_up.wait()
        self._log.critical("given up by the other engines: this one ends")
        self.stop(fast=True)

    async def _reload_on_hangup(self) -> None:
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            await self.reload("SIGHUP")

    async def _reload_on_change(self) -> None:
        async for _ in watch(self._settings.config):
            await self.reload("watch")


def _token_of(leash: Leash) -> str:
    """The one that the supervisor announced for all of its processes."""
    token = leash.token()
    if not token:
        raise ConfigError(ErrorInfo("P026", "no supervisor announced this process", Stage.STARTING))
    return token


def url_of(bound: Listen) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound.host, bound.host)  # noqa: S104
    return f"http://{Listen(host, bound.port)}"
