"""One engine for each data folder.

The lock belongs to the open file, so the operating system gives it back when the process ends,
however it ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from engine.store import failures


class FolderLock:
    """Blocking, never waiting."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "carebus.lock"
        self._folder = folder
        self._number: int | None = None

    def take(self) -> None:
        """Raises StoreUnavailable when another engine has it."""
        number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(number)
            raise failures.unavailable(
                "STORE-LOCKED",
                f"another engine is running on {self._folder}",
                "stop it first, or give this one its own folder with --data",
            ) from None
        os.ftruncate(number, 0)
        os.write(number, f"{os.getpid()}\n".encode())
        self._number = number

    def release(self) -> None:
        """Idempotent."""
        if self._number is not None:
            os.close(self._number)
            self._number = None
