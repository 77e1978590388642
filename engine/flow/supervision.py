"""Keeping a component open: open, wait until it is lost, close, wait, open again.

One task for each channel owns its component.  What goes wrong in one channel ends there: its state
and last error are shown, it is tried again with growing pauses, and nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.contract import Component, EngineError, ErrorInfo, Stage
from engine.flow.status import ChannelState

OPEN_DEADLINE = timedelta(seconds=30)
CLOSE_GRACE = timedelta(seconds=5)
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0
TRIAL_SECONDS = 1.0
"""How long a destination that was opened again may go unused before it counts as running."""


def pause(failures: int) -> float:
    """Seconds before attempt ``failures`` + 1 at opening: doubling from `FIRST_PAUSE`."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))


def defect(error: Exception, stage: Stage) -> ErrorInfo:
    """For an exception that no contract allows: a defect in a plug-in or in the engine.

    Only the exception's type is told: its text may quote what was being processed.
    """
    return ErrorInfo(
        "FLOW-DEFECT",
        f"unexpected {type(error).__name__}",
        stage,
        help="this is a defect: report it with the log entry's stack",
    )


@dataclass(slots=True)
class Health:
    """What is shown of a channel."""

    state: ChannelState = ChannelState.STOPPED
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_error: ErrorInfo | None = None

    def become(self, state: ChannelState, error: ErrorInfo | None = None) -> None:
        if state is not self.state:
            self.state = state
            self.since = datetime.now(UTC)
        if error is not None:
            self.last_error = error

    def failed(self, error: ErrorInfo) -> None:
        self.become(ChannelState.FAILED, error)

    def standby(self) -> None:
        self.become(ChannelState.STANDBY)

    def stopped(self) -> None:
        self.become(ChannelState.STOPPED)


class Connection:
    """One destination, kept open.  ``run`` is its task; the other methods are its workers'.

    A send that finds nobody calls `lost`; sends under way finish before the component is closed,
    so that one refused connection never makes a neighbour's outcome unknown.  ``on_demand``: not
    before there is something to send, since another process may be the one that sends.
    """

    def __init__(
        self, component: Component, health: Health, log: Any, *, on_demand: bool = False
    ) -> None:
        self._wanted = asyncio.Event()
        if not on_demand:
            self._wanted.set()
        self._component = component
        self._health = health
        self._log = log
        self._open = asyncio.Event()
        self._lost = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._sending = 0
        self._failures = 0
        self._quiet = False

    async def run(self) -> None:
        """Keep the component open until cancelled; it is closed on the way out."""
        if not self._wanted.is_set():
            self._health.standby()
            await self._wanted.wait()
        try:
            while True:
                if await self._opened():
                    if self._failures:
                        await self._on_trial()
                    await self._lost.wait()
                    self._lost.clear()
                    await self._idle.wait()
                    await closed(self._component, self._log)
                await asyncio.sleep(pause(self._failures))
        finally:
            self._open.clear()
            self._health.stopped()
            await closed(self._component, self._log)

    @property
    def is_open(self) -> bool:
        return self._open.is_set()

    async def ready(self) -> None:
        """Return when the component is open; the wait has no end while the peer is away."""
        self._wanted.set()
        while not self._open.is_set():
            await self._open.wait()

    def begin(self) -> None:
        self._sending += 1
        self._idle.clear()

    def end(self) -> None:
        self._sending -= 1
        if not self._sending:
            self._idle.set()

    def answered(self) -> None:
        """The peer answered, with whatever: the pauses start small again."""
        if self._failures:
            self._failures = 0
            self._health.become(ChannelState.RUNNING)

    async def quiesce(self, grace: timedelta) -> None:
        """No more sends; return when the last one under way has ended, or after ``grace``."""
        self._quiet = True
        self._open.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                await self._idle.wait()

    def lost(self, error: ErrorInfo) -> None:
        """The peer is not there: no more sends until the component is open again."""
        if self._open.is_set():
            self._open.clear()
            self._failures += 1
            self._health.failed(error)
            self._lost.set()

    async def _opened(self) -> bool:
        if not self._failures:
            self._health.become(ChannelState.STARTING)
        try:
            async with asyncio.timeout(OPEN_DEADLINE.total_seconds()):
                await self._component.open()
        except (EngineError, TimeoutError) as error:
            self._failed(_info(error))
            return False
        except Exception as error:  # supervised boundary: a plug-in's defect stays in its channel
            self._log.exception("opening failed by a defect", error_type=type(error).__name__)
            self._failed(defect(error, Stage.STARTING))
            return False
        if not self._quiet:
            self._open.set()
        if not self._failures:
            self._health.become(ChannelState.RUNNING)
        return True

    async def _on_trial(self) -> None:
        """Where opening proves nothing, the next send does; where none is due, nothing says any
        more that the peer is away.  The pauses go on growing until the peer answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(TRIAL_SECONDS):
                await self._lost.wait()
        await self._idle.wait()
        if not self._lost.is_set():
            self._health.become(ChannelState.RUNNING)

    def _failed(self, info: ErrorInfo) -> None:
        self._failures += 1
        self._health.failed(info)
        if self._failures == 1:
            self._log.warning("channel not connected", code=info.code, summary=info.summary)


async def closed(component: Component, log: Any) -> None:
    """Close it.  A plug-in that fails or dawdles at it is logged, and holds nobody up."""
    try:
        async with asyncio.timeout(2 * CLOSE_GRACE.total_seconds()):
            await component.close(CLOSE_GRACE)
    except TimeoutError:
        log.error("closing took too long")
    except Exception as error:  # supervised boundary: a plug-in's defect stays in its channel
        log.exception("closing failed by a defect", error_type=type(error).__name__)


async def keep_running(
    component: Component,
    run: Callable[[], Awaitable[None]],
    health: Health,
    log: Any,
) -> None:
    """Open, ``run()``, and after a failure close, pause and begin again, until cancelled.

    Returns when ``run`` returns by itself (the input is exhausted).  The component is closed on
    every way out.
    """
    failures = 0
    while True:
        health.become(ChannelState.STARTING if not failures else health.state)
        info: ErrorInfo
        try:
            async with asyncio.timeout(OPEN_DEADLINE.total_seconds()):
                await component.open()
            health.become(ChannelState.RUNNING)
            failures = 0
            await run()
            return
        except (EngineError, TimeoutError) as error:
            info = _info(error)
        except Exception as error:  # supervised boundary: a plug-in's defect stays in its channel
            log.exception("source failed by a defect", error_type=type(error).__name__)
            info = defect(error, Stage.RECEIVING)
        finally:
            await closed(component, log)
            health.stopped()
        failures += 1
        health.failed(info)
        if failures == 1:
            log.warning("channel not open", code=info.code, summary=info.summary)
        await asyncio.sleep(pause(failures))


def _info(error: EngineError | TimeoutError) -> ErrorInfo:
    if isinstance(error, EngineError):
        return error.info
    return ErrorInfo(
        "FLOW-OPEN-TIMEOUT",
        f"opening took longer than {OPEN_DEADLINE.total_seconds():g} s",
        Stage.STARTING,
        help="check the address, and that no firewall drops the connection silently",
    )
