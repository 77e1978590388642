"""The folder a source reads: what is ready in it, reading a file, moving it away, the lock.

All of it blocks and belongs in a thread.  Everything goes by descriptor or checked name: a link is
never followed, and a file that changes while it is read is given back as not ready.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final

from connectors.file.settings import SourceSettings

LOCK: Final = ".carebus.lock"
BATCH: Final = 1000  # files offered between two looks
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".filepart", ".crdownload")
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Ready:
    """A file that is whole."""

    name: str
    size: int
    modified: int  # nanoseconds
    inode: int

    @property
    def key(self) -> str:
        """The same as long as the file is the same, and no clue to its name."""
        text = f"{self.name}\0{self.size}\0{self.modified}\0{self.inode}"
        return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class Changed(Exception):
    """The file is not what was found ready: look again."""


class Folder:
    """Not thread-safe: one call at a time."""

    def __init__(
        self, settings: SourceSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._path = settings.directory
        self._seen: dict[str, tuple[Ready, float]] = {}  # what waits to be stable, since when
        self._lock: int | None = None

    def take(self) -> None:
        """Make the sub-folders and take the lock.  Raises BlockingIOError when somebody has it,
        OSError when the folder is not usable."""
        for name in (self._settings.processed, self._settings.error):
            _make_folder(os.path.join(self._path, name))
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(os.path.join(self._path, LOCK), flags, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
        except BaseException:
            os.close(descriptor)
            raise
        self._lock = descriptor
        self._seen = {}
        self._drop_markers()

    def _drop_markers(self) -> None:
        """A crash between moving a file and removing its marker leaves a marker that would call
        the next file of this name whole while it is being written."""
        if self._settings.ready != "marker":
            return
        names = set(os.listdir(self._path))
        marker = self._settings.marker
        for name in names:
            if name.endswith(marker) and name.removesuffix(marker) not in names:
                os.unlink(os.path.join(self._path, name))

    def release(self) -> None:
        """Idempotent.  The lock's file stays: removing it would race with the next one."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def look(self) -> list[Ready]:
        """The files that are ready now, in order, at most `BATCH`.  Raises OSError."""
        settings = self._settings
        names = set()
        found = []
        with os.scandir(self._path) as entries:
            for entry in entries:
                name = entry.name
                if settings.ready == "marker":
                    names.add(name)
                if not self._is_wanted(name) or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # its writer took it back
                found.append(Ready(name, status.st_size, status.st_mtime_ns, status.st_ino))
        if settings.ready == "marker":
            found = [file for file in found if file.name + settings.marker in names]
        elif settings.ready == "stable":
            found = self._stable(found)
        if settings.order == "time":
            found.sort(key=lambda file: (file.modified, file.name))
        else:
            found.sort(key=lambda file: file.name)
        return found[:BATCH]

    def _is_wanted(self, name: str) -> bool:
        settings = self._settings
        return (
            not name.startswith(".")
            and not name.lower().endswith(_UNFINISHED)
            and fnmatchcase(name, settings.pattern)
            and not (settings.ready == "marker" and name.endswith(settings.marker))
        )

    def _stable(self, found: list[Ready]) -> list[Ready]:
        now = self._clock()
        wait = self._settings.stable_for.total_seconds()
        seen = {}
        for file in found:
            before = self._seen.get(file.name)
            seen[file.name] = before if before is not None and before[0] == file else (file, now)
        self._seen = seen  # only what is still there
        return [file for file, since in seen.values() if now - since >= wait]

    def read(self, file: Ready) -> bytes:
        """The content of exactly the file that was found.  Raises Changed or OSError."""
        descriptor = os.open(os.path.join(self._path, file.name), _READ)
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or _identity(before) != _wanted(file):
                raise Changed
            body = stream.read(file.size + 1)
            if len(body) != file.size or _identity(os.fstat(descriptor)) != _wanted(file):
                raise Changed
        return body

    def is_there(self, file: Ready) -> bool:
        """Whether something of this name is still in the folder."""
        return os.path.lexists(os.path.join(self._path, file.name))

    def finish(self, file: Ready) -> None:
        """The engine owns it: keep it in processed, or delete it.  Raises OSError."""
        if self._settings.delete:
            os.unlink(os.path.join(self._path, file.name))
        else:
            self._move(file, self._settings.processed)
        self._unmark(file)

    def refuse(self, file: Ready, report: str) -> None:
        """Keep it in error, with the report beside it.  Raises OSError."""
        name = self._move(file, self._settings.error)
        beside = os.path.join(self._path, self._settings.error, f"{name}.error.txt")
        with open(beside, "w", encoding="utf-8") as stream:
            stream.write(report)
        self._unmark(file)

    def _move(self, file: Ready, folder: str) -> str:
        """Returns its name there; never overwrites, since nobody else writes to that folder."""
        name = file.name
        if os.path.lexists(os.path.join(self._path, folder, name)):
            stem, dot, suffix = name.rpartition(".")
            label = f"{time.time_ns():x}"
            name = f"{stem}-{label}.{suffix}" if dot and stem else f"{name}-{label}"
        os.rename(os.path.join(self._path, file.name), os.path.join(self._path, folder, name))
        self._seen.pop(file.name, None)
        return name

    def _unmark(self, file: Ready) -> None:
        if self._settings.ready == "marker":
            os.unlink(os.path.join(self._path, file.name + self._settings.marker))


def _make_folder(path: str) -> None:
    """Its parent has to be there; a link to somewhere else is not taken for a folder."""
    try:
        os.mkdir(path)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder") from None


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


def _wanted(file: Ready) -> tuple[int, int, int]:
    return file.size, file.modified, file.inode
