"""How much room the store has: the fact behind back-pressure."""

from __future__ import annotations

import os
from pathlib import Path

from engine.contract import StoreRoom, StoreUnavailable
from engine.store import failures, sqlite


def measure(path: Path) -> StoreRoom:
    """Two or three system calls; cheap enough for once a second.  Raises StoreUnavailable."""
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        raise unusable(error) from None
    used = 0
    for file in sqlite.files(path):
        try:
            used += file.stat().st_size
        except FileNotFoundError:
            continue  # no WAL yet
    return StoreRoom(
        bytes_free=disk.f_bavail * disk.f_frsize,
        bytes_total=disk.f_blocks * disk.f_frsize,
        bytes_used=used,
    )


def unusable(error: OSError) -> StoreUnavailable:
    """The data folder cannot be made, read or measured."""
    return failures.unavailable(
        "STORE-IO",
        f"the data folder cannot be used ({error.strerror})",
        "check that the folder given with --data exists on a working disk and is writable",
    )
