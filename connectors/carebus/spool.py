"""Large messages on their way: the bytes that have arrived, on disk, until all are there.

Every method blocks on the disk: call it in a thread, one call at a time for each transfer.  What
`append` returned is durable.  Content lies here in clear, as it does in the store beside it.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path


class Full(Exception):
    """The spool, or the disk, has no room for these bytes."""


class Spool:
    """Files in ``folder``, which is made when the first bytes come.  ``limit`` bytes in all."""

    def __init__(self, folder: Path, *, limit: int, keep: timedelta) -> None:
        self._folder = folder
        self._limit = limit
        self._keep = keep

    def size(self, name: str) -> int:
        """How many bytes of this transfer are safe; 0 for one that is unknown."""
        try:
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, name: str, start: int, data: bytes) -> int:
        """Add bytes that begin at ``start``; returns the size after that.  Bytes that do not begin
        where the transfer stopped are not taken, which the size tells.  Raises Full."""
        path = self._folder / name
        size = self.size(name)
        if start != size or not data:
            return size
        try:
            if not size:
                self._prepare()
            if self._taken() + len(data) > self._limit:
                raise Full
            file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                _write(file, start, data)
                os.fsync(file)
            finally:
                os.close(file)
            if not size:
                _sync(self._folder)
        except OSError as error:
            raise Full from error
        return start + len(data)

    def content(self, name: str) -> bytes:
        """All of it; nothing for a transfer that is unknown."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def drop(self, name: str) -> None:
        """Forget it; nothing happens the second time."""
        (self._folder / name).unlink(missing_ok=True)

    def _prepare(self) -> None:
        """Make the folder, and forget transfers that nobody goes on with."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = time.time() - self._keep.total_seconds()
        for entry in os.scandir(self._folder):
            if entry.stat().st_mtime < oldest:
                self.drop(entry.name)

    def _taken(self) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self._folder))


def _write(file: int, start: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, start)
        start += written
        view = view[written:]


def _sync(folder: Path) -> None:
    """Make a new file's name durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
