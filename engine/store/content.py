"""Content above 1 MiB: files beside the database, named by what they hold.

``<folder>/ab/cdef…`` (SHA-256).  A file is complete and on the disk, with its name, before the row
that refers to it is committed; the same content is kept once.  A file that an unfinished call still
needs is pinned, so that retention does not take it away in between.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.store import failures

LARGE: Final = 1024 * 1024
"""Bytes above which content is kept in a file."""

_ORPHAN_SECONDS: Final = 3600.0
"""Age after which a file that no row refers to is taken for one left by a crash."""


class ContentFolder:
    """Blocking; every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._pinned: Counter[str] = Counter()

    def keep(self, body: bytes) -> str:
        """Write and pin; returns the file's name.  Raises StoreUnavailable."""
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            self._pinned[digest] += 1
        try:
            self._write(digest, body)
        except OSError as error:
            self.unpin(digest)
            raise failures.unavailable(
                "STORE-FULL", f"large content could not be written ({error.strerror})"
            ) from None
        return digest

    def unpin(self, digest: str) -> None:
        """A row refers to it now, or nobody will."""
        with self._lock:
            self._pinned[digest] -= 1
            if self._pinned[digest] <= 0:
                del self._pinned[digest]

    def read(self, digest: str) -> bytes:
        """Raises UnknownMessage when it was purged, StoreUnavailable when it cannot be read."""
        try:
            return self._path(digest).read_bytes()
        except FileNotFoundError:
            raise failures.purged() from None
        except OSError as error:
            raise failures.unavailable(
                "STORE-IO", f"large content could not be read ({error.strerror})"
            ) from None

    def is_whole(self, digest: str) -> bool:
        """Whether the file is there and holds what its name says."""
        try:
            with self._path(digest).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == digest
        except OSError:
            return False

    def discard(self, digest: str, is_referred: Callable[[str], bool]) -> bool:
        """Delete it unless it is pinned or a row refers to it."""
        with self._lock:
            if digest in self._pinned or is_referred(digest):
                return False
            self._path(digest).unlink(missing_ok=True)
            return True

    def orphans(self, shelf: int) -> Iterator[str]:
        """Files of one of the 256 folders that are old enough to have been left by a crash."""
        folder = self.folder / f"{shelf % 256:02x}"
        if not folder.is_dir():
            return
        limit = time.time() - _ORPHAN_SECONDS
        for path in folder.iterdir():
            if path.stat().st_mtime < limit:
                yield folder.name + path.name

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]

    def _write(self, digest: str, body: bytes) -> None:
        path = self._path(digest)
        if path.exists():
            os.utime(path)  # it is wanted again: not an orphan
            return
        new_folder = not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            with part.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _sync(path.parent)
        if new_folder:
            _sync(self.folder)


@contextmanager
def _descriptor(folder: Path) -> Iterator[int]:
    number = os.open(folder, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


def _sync(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    with _descriptor(folder) as number:
        os.fsync(number)
