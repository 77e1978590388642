"""Stores that are wrong on purpose, each in one way that a suite must notice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from engine.contract import (
    ChannelName,
    DeliveryId,
    Event,
    IllegalTransition,
    MessageSummary,
    NewMessage,
    OutboxEntry,
    Query,
    Stored,
)
from engine.store import SqlStore


class EarlyStore(SqlStore):
    """Says yes and writes a little later."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._late: set[asyncio.Task[Stored]] = set()
        self._given = 0

    async def accept(self, new: NewMessage) -> Stored:
        if new.dedup_key is not None or len(new.deliveries) != 1:
            return await super().accept(new)
        task = asyncio.create_task(self._accept_late(new))
        self._late.add(task)
        await asyncio.sleep(0)
        self._given += 1
        return Stored(new.message.id, (DeliveryId(self._given),))

    async def _accept_late(self, new: NewMessage) -> Stored:
        await asyncio.sleep(0.05)
        return await super().accept(new)

    async def close(self, grace: timedelta) -> None:
        await asyncio.gather(*self._late, return_exceptions=True)
        await super().close(grace)


class ForgetfulStore(SqlStore):
    """Looks for the first copy, then writes, and lets others in between."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._first: dict[str, Stored] = {}

    async def accept(self, new: NewMessage) -> Stored:
        key = new.dedup_key
        if key is not None and key in self._first:
            return replace(self._first[key], deliveries=(), duplicate=True)
        stored = await super().accept(replace(new, dedup_key=None))
        if key is not None:
            self._first[key] = stored
        return stored


class ObligingStore(SqlStore):
    """Takes every step without a word."""

    async def record(self, event: Event) -> None:
        try:
            await super().record(event)
        except IllegalTransition:
            return


class RepeatingStore(SqlStore):
    """Shows the last entry of a page again on the next one."""

    async def outbox(
        self, channel: ChannelName, lane: int, *, after: int, limit: int, mine: bool = False
    ) -> Sequence[OutboxEntry]:
        return await super().outbox(channel, lane, after=max(0, after - 1), limit=limit, mine=mine)


class ThoroughStore(SqlStore):
    """Deletes the whole message when only its content should go."""

    async def purge(
        self,
        older_than: datetime,
        *,
        content_only: bool,
        limit: int = 1000,
        channel: ChannelName | None = None,
    ) -> int:
        return await super().purge(older_than, content_only=False, limit=limit, channel=channel)


class VagueStore(SqlStore):
    """Searches by one key only."""

    async def search(self, query: Query) -> Sequence[MessageSummary]:
        keys = dict(list(query.keys.items())[:1])
        return await super().search(replace(query, keys=keys))


WRONG: dict[str, type[SqlStore]] = {
    "early": EarlyStore,
    "forgetful": ForgetfulStore,
    "obliging": ObligingStore,
    "repeating": RepeatingStore,
    "thorough": ThoroughStore,
    "vague": VagueStore,
}
