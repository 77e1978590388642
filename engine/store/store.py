"""The message store: `MessageStore` of the contract on any `Database`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname
from typing import Any

from engine.contract import (
    Backlog,
    ChannelName,
    Committed,
    DeliveryId,
    Event,
    Halt,
    Message,
    MessageId,
    MessageSummary,
    NewDelivery,
    NewMessage,
    Notice,
    OutboxEntry,
    Payload,
    Query,
    Stored,
    StoredEvent,
    StoreError,
    StoreRoom,
    Waiting,
)
from engine.store import failures, halts, reading, recovery, retention, search, steps
from engine.store.content import LARGE, ContentFolder
from engine.store.database import Database
from engine.store.ledger import Ledger
from engine.store.lock import FolderLock
from engine.store.membership import Membership
from engine.store.readers import Readers
from engine.store.requests import Accepting, Beginning, Job, Recording, RecordingAll, Request
from engine.store.rows import micros
from engine.store.writer import Writer

RECOVERY = timedelta(seconds=60)
"""How long one engine may take to take over what dead ones had in hand."""


class SqlStore:
    """Made by `engine.store.open_store`; used from one event loop, opened before anything else."""

    def __init__(
        self, database: Database, data: Path, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.database = database
        self._now = now or (lambda: datetime.now(UTC))
        self._data = data
        self._lock = FolderLock(data)
        self._folder = ContentFolder(data / "content")
        self._readers = Readers(database)
        self._writer = self._new_writer()
        self._subscribers: list[Committed] = []
        self._told: Callable[[Notice], None] | None = None
        self._clean = True
        self._disowned = False
        nodes = database.nodes
        self.members = None if nodes is None else Membership(database, nodes)
        """None where there is only one engine."""
        self._is_open = False
        self._shelf = 0
        self._progress: dict[tuple[ChannelName | None, bool], retention.Progress] = {}

    def _new_writer(self) -> Writer:
        return Writer(self.database, self._finished, self._tell)

    # --- life -------------------------------------------------------------------------------

    async def open(self) -> None:
        """Raises StoreUnavailable: another engine, a newer database, no disk."""
        if self._is_open:
            return
        ledger = await asyncio.to_thread(self._open)
        self._readers.open()
        self._writer = self._new_writer()
        self._writer.start(ledger)
        if self.members is not None:
            self.members.open(self._heard)
        self._is_open = True

    def _open(self) -> Ledger:
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._lock.take()
        except OSError as error:
            raise failures.unusable(error) from None
        try:
            self.database.prepare()
            if self.database.nodes is not None:
                # Its name is its folder, and the folder is locked: its life before is over.
                node = self.database.nodes.begin(f"{gethostname()}:{self._data.absolute()}")
                ledger = Ledger(self.database.connect_writer(), self._now)
                ledger.node = node
                return ledger
            ledger = Ledger(self.database.connect_writer(), self._now)
            ledger.load()
            self._clean = recovery.start_run(ledger)
            ledger.connection.commit()
        except self.database.errors as error:
            self._lock.release()
            raise self.database.translate(error) from None
        except BaseException:
            self._lock.release()
            raise
        return ledger

    async def close(self, grace: timedelta) -> None:
        """Writes what waits and marks the run as cleanly stopped, if the grace is long enough."""
        if not self._is_open:
            return
        self._is_open = False
        alone = self.members is None
        stopping = self._put(Job, recovery.stop_run) if alone and not self._disowned else None
        # readers first: the last connection to close folds the WAL into the database
        await asyncio.to_thread(self._readers.close)
        stopped = await self._writer.stop(grace)
        if stopping is not None and stopping.done():
            stopping.exception()  # a full disk: the next start finds an unclean stop, as it is
        if self.members is not None:
            await self.members.close(clean=stopped and not self._disowned)
        if stopped:
            self._lock.release()

    @property
    def shared(self) -> bool:
        return self.members is not None

    def disown(self) -> None:
        self._disowned = True

    @property
    def sure(self) -> bool:
        return self.members is None or self.members.sure

    def subscribe(self, committed: Committed) -> None:
        self._subscribers.append(committed)

    def listen(self, told: Callable[[Notice], None]) -> None:
        self._told = told

    def _heard(self, text: str | None) -> None:
        """As `Ledger.tell` wrote it; None: some may have been missed."""
        if self._told is None:
            return
        if text is None:
            self._told(Notice())
            return
        node, delivery, channel = text.split(" ", 2)
        nodes = self.database.nodes
        if nodes is None or int(node) != nodes.node:
            number = DeliveryId(int(delivery)) if delivery != "0" else None
            self._told(Notice(ChannelName(channel), number))

    # --- writing ----------------------------------------------------------------------------

    async def accept(self, new: NewMessage) -> Stored:
        payload = new.message.payload
        file = await self._kept(payload) if self._is_large(payload) else None
        stored: Stored = await self._put(Accepting, new, file)
        return stored

    async def begin(self, delivery: DeliveryId, attempt: int) -> None:
        await self._put(Beginning, delivery, attempt)

    async def record(self, event: Event) -> None:
        await self._put(Recording, event, *await self._kept_of(event))

    async def record_all(self, events: Sequence[Event]) -> Sequence[StoreError | None]:
        if not events:
            return []
        try:
            parts = [Recording(None, event, *await self._kept_of(event)) for event in events]
            answers: Sequence[StoreError | None] = await self._put(RecordingAll, parts)
        except StoreError as error:
            return [error] * len(events)
        return answers

    async def replay(self, delivery: DeliveryId, *, actor: str) -> OutboxEntry:
        entry: OutboxEntry = await self._put(
            Job, lambda ledger: steps.replay(ledger, delivery, actor)
        )
        return entry

    async def cancel(self, delivery: DeliveryId, *, actor: str) -> None:
        await self._put(Job, lambda ledger: steps.cancel(ledger, delivery, actor))

    async def hurry(self, delivery: DeliveryId) -> OutboxEntry:
        entry: OutboxEntry = await self._put(Job, lambda ledger: steps.hurry(ledger, delivery))
        return entry

    async def halt(self, channel: ChannelName, *, actor: str, reason: str = "") -> None:
        await self._put(Job, lambda ledger: halts.halt(ledger, channel, actor, reason))

    async def resume(self, channel: ChannelName) -> None:
        await self._put(Job, lambda ledger: halts.resume(ledger, channel))

    async def halted(self) -> Sequence[Halt]:
        return await self._readers.run(halts.halted)

    async def reroute(
        self,
        message_id: MessageId,
        deliveries: Sequence[NewDelivery],
        *,
        actor: str,
        config_version: str,
    ) -> Sequence[OutboxEntry]:
        entries: Sequence[OutboxEntry] = await self._put(
            Job,
            lambda ledger: steps.reroute(ledger, message_id, deliveries, actor, config_version),
        )
        return entries

    async def recover(self) -> Mapping[str, int]:
        """``uncertain``: sends that were under way; ``possible_duplicate``: deliveries flagged
        after an unclean stop; ``unclean``: 1 after one, else 0."""
        if self.members is not None:
            return await self._take_over(self.members)
        uncertain: int = await self._put(Job, recovery.hold_begun)
        flagged = 0
        after = 0
        while not self._clean:
            count, after = await self._flag_after(after)
            flagged += count
            if not after:
                break
        unclean = int(not self._clean)
        self._clean = True
        return {"uncertain": uncertain, "possible_duplicate": flagged, "unclean": unclean}

    async def _flag_after(self, after: int) -> tuple[int, int]:
        step: tuple[int, int] = await self._put(
            Job, lambda ledger: recovery.flag_unfinished(ledger, after)
        )
        return step

    async def _take_over(self, members: Membership) -> Mapping[str, int]:
        """What dead nodes and stopped ones had in hand, by one living node at a time."""
        counts = dict.fromkeys(("uncertain", "possible_duplicate", "unclean", "taken"), 0)
        nodes = self.database.nodes
        epoch = await members.acquire("recovery", str(nodes and nodes.node), RECOVERY)
        if epoch is None or nodes is None:
            return counts
        try:
            dead = await members.bury()
            if dead:
                counts["unclean"] = 1
                counts["uncertain"] = await self._put(
                    Job, lambda ledger: recovery.hold_begun(ledger, dead)
                )
                taken = await self._take_all(dead, flag=True)
                counts["possible_duplicate"] = counts["taken"] = taken
                await self._put(Job, lambda ledger: nodes.buried(ledger.connection, dead))
            stopped = await members.stopped()
            if stopped:
                counts["taken"] += await self._take_all(stopped, flag=False)
        finally:
            await members.release("recovery", str(nodes.node), epoch)
        return counts

    async def _take_all(self, owners: Sequence[int], *, flag: bool) -> int:
        total = 0
        while count := await self._put(
            Job, lambda ledger: recovery.take_over(ledger, owners, flag=flag)
        ):
            total += count
        return total

    async def relane(self, channel: ChannelName, lanes: int) -> int:
        total = 0
        while count := await self._put(Job, lambda ledger: recovery.relane(ledger, channel, lanes)):
            total += count
        return total

    async def purge(
        self,
        older_than: datetime,
        *,
        content_only: bool,
        limit: int = 1000,
        channel: ChannelName | None = None,
    ) -> int:
        progress = self._progress.setdefault((channel, content_only), retention.Progress())
        find = retention.finished_content if content_only else retention.finished
        seqs = await self._readers.run(find, older_than, channel, limit, progress)
        if not seqs:
            await self._sweep()
            return 0
        count, files = await self._put(
            Job, lambda ledger: retention.delete(ledger, seqs, content_only)
        )
        await self._put(Job, lambda ledger: self.database.give_back(ledger.connection))
        if files:
            await self._readers.run(retention.discard, self._folder, files)
        deleted: int = count
        return deleted

    async def roll(self, *, content_before: datetime, events_before: datetime) -> int:
        """Retention by whole days, where the database keeps them apart; `purge` does the rest."""
        database = self.database

        def work() -> int:
            try:
                return database.roll(micros(content_before), micros(events_before))
            except database.errors as error:
                raise database.translate(error) from None

        return await self._readers.call(work)

    async def _sweep(self) -> None:
        """Files that a crash left without a row: one of the 256 folders each time."""
        self._shelf += 1
        await self._readers.run(retention.discard_orphans, self._folder, self._shelf)

    async def _kept_of(self, event: Event) -> Sequence[str | None]:
        """The files of what was sent and of the reply, where they are large."""
        payloads = (event.sent, event.reply)
        if not any(map(self._is_large, payloads)):
            return ()
        return [
            await self._kept(payload) if payload and self._is_large(payload) else None
            for payload in payloads
        ]

    async def _kept(self, payload: Payload) -> str:
        return await self._readers.call(lambda: self._folder.keep(payload.body))

    def _is_large(self, payload: Payload | None) -> bool:
        return payload is not None and self.database.files and len(payload.body) > LARGE

    def _put(self, kind: Callable[..., Request], *arguments: Any) -> asyncio.Future[Any]:
        future = self._writer.future()
        self._writer.submit(kind(future, *arguments))
        return future

    def _finished(self, batch: Sequence[Request]) -> None:
        """On the loop, after each commit."""
        try:
            if self._subscribers:
                self._tell(batch)
        finally:  # whatever a subscriber does: nobody waits for ever
            for request in batch:
                for file in request.files:
                    self._folder.unpin(file)
                request.answer()

    def _tell(self, batch: Sequence[Request]) -> None:
        accepted = [
            (request.new, request.result)
            for request in batch
            if isinstance(request, Accepting)
            and request.failure is None
            and not request.result.duplicate
        ]
        if accepted:
            for committed in self._subscribers:
                committed(accepted)

    # --- reading ----------------------------------------------------------------------------

    async def outbox(
        self, channel: ChannelName, lane: int, *, after: int, limit: int, mine: bool = False
    ) -> Sequence[OutboxEntry]:
        nodes = self.database.nodes
        owner = nodes.node if mine and nodes is not None else None
        return await self._readers.run(reading.outbox, channel, lane, after, limit, owner)

    async def load(self, message_id: MessageId) -> Message:
        return await self._readers.run(reading.load, self._folder, message_id)

    async def delivery(self, delivery: DeliveryId) -> OutboxEntry | None:
        return await self._readers.run(reading.unfinished, delivery)

    async def history(
        self, message_id: MessageId, *, content: bool = False
    ) -> Sequence[StoredEvent]:
        return await self._readers.run(reading.history, self._folder, message_id, content)

    async def search(self, query: Query) -> Sequence[MessageSummary]:
        return await self._readers.run(search.search, query)

    async def backlog(self) -> Sequence[Backlog]:
        return await self._readers.run(reading.backlog)

    async def waiting(self) -> Sequence[Waiting]:
        return await self._readers.run(reading.waiting)

    async def sources(self) -> Sequence[ChannelName]:
        return await self._readers.run(reading.sources)

    async def room(self) -> StoreRoom:
        return await self._readers.call(self.database.room)
