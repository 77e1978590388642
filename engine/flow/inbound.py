"""One inbound channel at work: its source kept running, its intake.

The source is given one `accept` for its whole life; a reload that changes only routes or mappings
exchanges the intake behind it, and no connection of a hospital system is touched.
"""

from __future__ import annotations

import asyncio
from typing import Any

from engine.config.model import Channel
from engine.contract import Inbound, Receipt, Source
from engine.flow.counts import InboundCounts
from engine.flow.election import Election
from engine.flow.intake import Intake
from engine.flow.supervision import Health, closed, keep_running


class InboundChannel:
    """`run` is its one task.  Cancelling it first lets messages in progress finish."""

    def __init__(
        self,
        channel: Channel,
        source: Source,
        intake: Intake,
        counts: InboundCounts,
        log: Any,
        *,
        election: Election | None = None,
    ) -> None:
        self.channel = channel
        self.counts = counts
        self.health = Health()
        self.intake = intake
        self._source = source
        self._log = log
        self._election = election

    async def accept(self, inbound: Inbound) -> Receipt:
        return await self.intake.accept(inbound)

    async def run(self) -> None:
        if self._election is None:
            await self._run()
        else:
            await self._election.lead(self._run, self.health.standby)

    async def _run(self) -> None:
        running = asyncio.create_task(
            keep_running(
                self._source, lambda: self._source.run(self.accept), self.health, self._log
            )
        )
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            # Closing first: no new messages, and those whose commit is under way get their answer.
            try:
                await closed(self._source, self._log)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
            raise
