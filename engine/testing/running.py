"""A source at work under a suite: opened, run and stopped as the engine does it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine.contract import Limits, Source
from engine.testing.accepting import RecordingAccept
from engine.testing.harness import SourceHarness
from engine.testing.services import MemoryServices

GRACE: Final = timedelta(milliseconds=200)


@dataclass
class Running:
    """A source at work, the accept it was given and the services it was lent."""

    source: Source
    accept: RecordingAccept
    services: MemoryServices
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """As the engine stops a channel: cancel ``run``, then ``close``.  Raises AssertionError
        when that takes longer than the grace allows, and what ``run`` raised."""
        self.task.cancel()
        try:
            async with asyncio.timeout(5):
                await self.task
        except asyncio.CancelledError:
            pass
        except TimeoutError:
            raise AssertionError("run does not end when it is cancelled") from None
        await closed(self.source)


async def closed(source: Source) -> None:
    """Close it.  Raises AssertionError when it outlasts its grace by far."""
    try:
        async with asyncio.timeout(GRACE.total_seconds() + 2):
            await source.close(GRACE)
    except TimeoutError:
        raise AssertionError("close does not return within its grace") from None


@asynccontextmanager
async def running(
    rig: SourceHarness,
    accept: RecordingAccept | None = None,
    *,
    services: MemoryServices | None = None,
) -> AsyncIterator[Running]:
    """A new source of the harness, opened and run; stopped at the end."""
    services = services or services_for(rig)
    source = rig.create(services)
    await source.open()
    accept = accept or RecordingAccept()
    live = Running(source, accept, services, asyncio.create_task(source.run(accept)))
    try:
        yield live
    finally:
        accept.release()
        await live.stop()


async def warmed_up(rig: SourceHarness) -> None:
    """One whole life, so that what a loop or a library opens once (libuv holds a spare
    descriptor from the first listener on) is not taken for a leak."""
    async with running(rig):
        await (await rig.connect()).leave()


def services_for(rig: SourceHarness, limits: Limits | None = None) -> MemoryServices:
    """New services with the harness's TLS."""
    return MemoryServices(limits=limits, tls=rig.tls)
