"""What happens beside the messages: rates, back-pressure, the backlog's numbers, retention.

Small jobs on their own clocks, none of them on the path of a message, each cheap at any size of
the store's history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.config.model import Configuration, Keep
from engine.contract import Backlog, ChannelName, ErrorInfo, MessageStore, State, StoreError
from engine.flow.pressure import PressureLimits, refusal

SECOND = 1.0
RETENTION_SECONDS = 60.0
PURGE_BATCH = 500
BETWEEN_BATCHES_SECONDS = 0.05
BACKLOG_SHARE = 20
"""The backlog is counted at most this fraction of the time: 1 / BACKLOG_SHARE."""


class Housekeeping:
    """`run` is one task group of periodic jobs; the attributes are what they last found."""

    def __init__(
        self,
        store: MessageStore,
        configuration: Callable[[], Configuration],
        sample: Callable[[], None],
        log: Any,
        *,
        limits: PressureLimits,
    ) -> None:
        self.backlog: Sequence[Backlog] = ()
        self.refused: ErrorInfo | None = None
        self._store = store
        self._configuration = configuration
        self._sample = sample
        self._log = log
        self._limits = limits

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._each_second())
            tasks.create_task(self._retain())

    async def measure(self) -> None:
        """Look at the backlog and the disk once, and decide whether messages are taken."""
        backlog = await self._store.backlog()
        room = await self._store.room()
        self.backlog = backlog
        waiting = sum(row.count for row in backlog if row.state is not State.DEAD)
        refused = refusal(self._limits, waiting=waiting, free=room.bytes_free)
        if refused is not None and self.refused is None:
            self._log.error("refusing new messages", code=refused.code, summary=refused.summary)
        elif refused is None and self.refused is not None:
            self._log.warning("accepting messages again")
        self.refused = refused

    async def _each_second(self) -> None:
        due = 0.0
        while True:
            self._sample()
            started = time.monotonic()
            if started >= due:
                try:
                    await self.measure()
                except StoreError as error:
                    self._log.error("backlog not read", code=error.info.code)
                ended = time.monotonic()
                due = ended + (ended - started) * BACKLOG_SHARE
            await asyncio.sleep(SECOND)

    async def _retain(self) -> None:
        """Delete what is no longer kept, in batches that never hold up the writer.  What came by a
        channel that is no longer configured is kept as long as a new channel keeps."""
        while True:
            await asyncio.sleep(RETENTION_SECONDS)
            try:
                keeps = {
                    name: Keep() if channel is None else channel.keep
                    for name in await self._store.sources()
                    for channel in [self._configuration().channels.get(name)]
                }
                now = datetime.now(UTC)
                longest = keeps.values() or (Keep(),)
                await self._store.roll(
                    content_before=now - max(keep.content for keep in longest),
                    events_before=now - max(keep.events for keep in longest),
                )
                for name, keep in keeps.items():
                    await self._purge(name, keep.content, content_only=True)
                    await self._purge(name, keep.events, content_only=False)
            except StoreError as error:
                self._log.error("retention stopped", code=error.info.code)

    async def _purge(self, channel: ChannelName, keep: timedelta, *, content_only: bool) -> None:
        older_than = datetime.now(UTC) - keep
        deleted = PURGE_BATCH
        while deleted:
            deleted = await self._store.purge(
                older_than, content_only=content_only, limit=PURGE_BATCH, channel=channel
            )
            await asyncio.sleep(BETWEEN_BATCHES_SECONDS)
