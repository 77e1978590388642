"""Offers the files of a folder one after the other, and moves each away after it was taken."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import timedelta

from connectors.file.errors import info
from connectors.file.folder import Changed, Folder, Ready
from connectors.file.settings import SourceSettings
from connectors.pace import Pace
from engine.contract import (
    Accept,
    Check,
    ErrorInfo,
    FormatError,
    Inbound,
    NotConnected,
    Outcome,
    Payload,
    Receipt,
    Services,
    Stage,
)
from engine.formats.hl7v2.batch import split_batch


class FileSource:
    """See `engine.contract.Source`.  One message at a time."""

    def __init__(self, settings: SourceSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._folder = Folder(settings)
        self._pace = Pace(services.limits.rate)
        self._limit = services.limits.message
        self._open = False
        self._unread: set[str] = set()  # keys of files that cannot be read, told once

    async def open(self) -> None:
        """Raises NotConnected when the folder cannot be used or somebody else reads it."""
        if self._open:
            return
        try:
            await asyncio.to_thread(self._folder.take)
        except BlockingIOError as error:
            raise NotConnected(
                _info("FILE-LOCKED", "somebody else reads this folder", error)
            ) from None
        except OSError as error:
            raise NotConnected(_info("FILE-FOLDER", "the folder cannot be used", error)) from None
        self._open = True

    async def close(self, grace: timedelta) -> None:
        self._open = False
        self._folder.release()

    async def run(self, accept: Accept) -> None:
        """Look, offer, wait, until cancelled.  A file whose offer was cancelled stays."""
        if not self._open:
            raise NotConnected(_info("FILE-FOLDER", "the channel is not open"))
        pause = self._settings.poll.total_seconds()
        while True:
            try:
                files = await asyncio.to_thread(self._folder.look)
            except OSError as error:
                raise NotConnected(_info("FILE-FOLDER", "the folder is gone", error)) from None
            self._unread &= {file.key for file in files}
            for file in files:
                if not await self._take(file, accept):
                    break  # not now: those behind it wait too, or the order would change
            await asyncio.sleep(pause)

    async def check(self) -> Sequence[Check]:
        """Whether the folder can be read and its sub-folders be made."""
        opened = not self._open
        try:
            await self.open()
        except NotConnected as error:
            return [Check("folder", False, error.info.summary)]
        if opened:
            await self.close(timedelta(0))
        return [Check("folder", True, "can be read")]

    async def _take(self, file: Ready, accept: Accept) -> bool:
        """Offer one file and put it where it belongs; False when the engine takes nothing now."""
        limit = self._settings.batch_limit if self._settings.split != "none" else self._limit
        if file.size > limit:
            await self._put_away(file, _info("FILE-SIZE", "the file is too large"))
            return True
        try:
            body = await asyncio.to_thread(self._folder.read, file)
        except (Changed, FileNotFoundError):
            return True  # being written after all, or taken back: the next look will tell
        except OSError as error:
            if file.key not in self._unread:
                self._unread.add(file.key)
                told = _info("FILE-READ", "a file cannot be read", error)
                self._services.log.warning(told.summary, code=told.code, reason=told.peer_code)
            return True
        if self._settings.split == "none":
            receipt = await self._offer(file, body, file.key, accept)
            if receipt.outcome is Outcome.UNAVAILABLE:
                return False
            refused = receipt.error if receipt.outcome is Outcome.REJECTED else None
            await self._put_away(file, refused, is_refused=receipt.outcome is Outcome.REJECTED)
            return True
        return await self._take_batch(file, body, accept)

    async def _take_batch(self, file: Ready, body: bytes, accept: Accept) -> bool:
        """Offer each message.  Those that were taken before an interruption are recognised by
        their place in the file when it comes again."""
        try:
            batch = split_batch(body)
        except FormatError as error:
            await self._put_away(file, error.info)
            return True
        refused = 0
        for number, message in enumerate(batch.messages, 1):
            if len(message) > self._limit:
                refused += 1
                continue
            receipt = await self._offer(file, message, f"{file.key}-{number}", accept)
            if receipt.outcome is Outcome.UNAVAILABLE:
                return False
            refused += receipt.outcome is Outcome.REJECTED
        told = None
        if refused:
            count = len(batch.messages)
            told = _info("FILE-BATCH", f"{refused} of {count} messages were refused")
        elif not batch.complete:
            told = _info("FILE-BATCH", "the batch holds fewer or more messages than it says")
        await self._put_away(file, told)
        return True

    async def _offer(self, file: Ready, body: bytes, key: str, accept: Accept) -> Receipt:
        await self._pace.turn()
        return await accept(
            Inbound(
                Payload(body, self._settings.content_type),
                self._services.now(),
                peer=self._settings.directory,  # names of files may be clinical
                dedup_key=key,
                attributes={"file": os.fsencode(file.name).decode("utf-8", "replace")},
            )
        )

    async def _put_away(
        self, file: Ready, error: ErrorInfo | None, *, is_refused: bool = False
    ) -> None:
        """Raises NotConnected when it cannot be moved: the folder needs a person."""
        try:
            if error is None and not is_refused:
                await asyncio.to_thread(self._folder.finish, file)
                return
            await asyncio.to_thread(self._folder.refuse, file, self._report(error))
        except OSError as failure:
            if not await asyncio.to_thread(self._folder.is_there, file):
                return  # moved all but for a marker, or its writer took it back
            raise NotConnected(_info("FILE-MOVE", "a file cannot be moved away", failure)) from None
        if error is not None:
            self._services.log.warning("a file was refused", code=error.code)

    def _report(self, error: ErrorInfo | None) -> str:
        lines = [f"refused: {self._services.now().isoformat(timespec='seconds')}"]
        if error is not None:
            lines += [f"code: {error.code}", f"reason: {error.summary}"]
            if error.help is not None:
                lines.append(f"help: {error.help}")
        return "\n".join(lines) + "\n"


def _info(code: str, summary: str, error: OSError | None = None) -> ErrorInfo:
    return info(code, summary, stage=Stage.RECEIVING, error=error)
