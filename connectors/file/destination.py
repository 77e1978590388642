"""Puts each message into a folder as one file that appears whole, durable, and under its own name.

Written to a hidden name in the same folder, flushed to the disk, linked to its final name (which
fails where that exists), and the folder flushed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from connectors.file.errors import info
from connectors.file.naming import file_name
from connectors.file.settings import DestinationSettings
from engine.contract import (
    Check,
    Delivered,
    NotConnected,
    Outbound,
    RejectedError,
    RetryableError,
    Services,
    UncertainError,
)

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BAD_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
)


class FileDestination:
    """See `engine.contract.Destination`.  One file at a time, in the order of the calls."""

    def __init__(self, settings: DestinationSettings, services: Services) -> None:
        self._settings = settings
        self._prefix = f".carebus-{services.channel}-"
        self._rights = int(settings.rights, 8)
        self._turn: asyncio.Lock | None = None

    async def open(self) -> None:
        """Raises NotConnected when the folder is not there."""
        if self._turn is None:
            await asyncio.to_thread(self._tidy)
            self._turn = asyncio.Lock()

    async def close(self, grace: timedelta) -> None:
        self._turn = None

    async def send(self, outbound: Outbound) -> Delivered:
        """A cancellation takes effect between two steps on the disk: the file is there, whole, or
        nothing is."""
        turn = self._turn
        if turn is None:
            raise NotConnected(info("FILE-FOLDER", "the channel is not open"))
        name = file_name(self._settings.name, outbound)
        async with turn:
            stop = threading.Event()
            writing = asyncio.get_running_loop().run_in_executor(
                None, self._write, name, outbound.payload.body, stop
            )
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                stop.set()
                await asyncio.wait([writing])
                if not writing.cancelled():
                    writing.exception()  # seen: whoever cancelled does not want to know
                raise
        return Delivered(remote_id=name)

    async def check(self) -> Sequence[Check]:
        """Writes and removes a hidden file."""
        return await asyncio.to_thread(self._try)

    # --- in a thread ---

    def _tidy(self) -> None:
        """Remove what an earlier run left half written.  The channel's name is in it, so that
        other writers' files are safe."""
        try:
            with os.scandir(self._settings.directory) as entries:
                left = [entry.path for entry in entries if entry.name.startswith(self._prefix)]
            for path in left:
                os.unlink(path)
        except OSError as error:
            raise NotConnected(
                info("FILE-FOLDER", "the folder cannot be used", error=error)
            ) from None

    def _write(self, name: str, body: bytes, stop: threading.Event) -> None:
        """Raises what `send` raises."""
        directory = self._settings.directory
        hidden = os.path.join(directory, f"{self._prefix}{secrets.token_hex(8)}.part")
        final = os.path.join(directory, name)
        try:
            try:
                self._fill(hidden, body)
                if stop.is_set():
                    return
                is_new = _publish(hidden, final)
            finally:
                _remove(hidden)
            if not is_new and not _holds(final, body):
                raise RejectedError(info("FILE-EXISTS", "other content has this name"))
        except OSError as error:
            raise _failure(error) from None
        try:
            if self._settings.marker is not None:
                os.close(os.open(final + self._settings.marker, os.O_CREAT, self._rights))
            _flush_folder(directory)
        except OSError as error:
            raise UncertainError(
                info("FILE-UNSURE", "the disk did not confirm the file", error=error)
            ) from None

    def _fill(self, path: str, body: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            view = memoryview(body)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fchmod(descriptor, self._rights)  # not narrowed by the umask
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _try(self) -> Sequence[Check]:
        path = os.path.join(self._settings.directory, f"{self._prefix}{secrets.token_hex(8)}.part")
        try:
            try:
                self._fill(path, b"")
            finally:
                _remove(path)
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            return [Check("folder", False, f"cannot write: {reason}")]
        return [Check("folder", True, "can be written")]


def _publish(hidden: str, final: str) -> bool:
    """Give the file its name; False when the name is taken.  Never overwrites."""
    try:
        os.link(hidden, final, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links (FAT, some shares).  Two writers of one name could
        # meet between these two lines; the names hold a message id, so they have none in common.
        if os.path.lexists(final):
            return False
        os.rename(hidden, final)
    return True


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _holds(path: str, body: bytes) -> bool:
    """Whether this is a plain file with just this content."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_size != len(body):
            return False
        same = file.read(len(body) + 1) == body
        os.fsync(descriptor)  # an earlier attempt may have died before
        return same


def _flush_folder(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(error: OSError) -> NotConnected | RetryableError | RejectedError:
    """Nothing has the final name yet, so every error is a certain one."""
    if error.errno in _NO_ROOM:
        return RetryableError(info("FILE-FULL", "the disk is full", error=error))
    if error.errno in _BAD_NAME:
        return RejectedError(info("FILE-NAME", "the file system refuses the name", error=error))
    if error.errno == errno.ELOOP:
        return RejectedError(info("FILE-EXISTS", "a link has this name", error=error))
    return NotConnected(info("FILE-FOLDER", "the folder cannot be used", error=error))
