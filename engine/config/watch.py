"""Notices that somebody edited the project."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

SETTLE: Final = timedelta(milliseconds=400)


async def watch(
    root: Path, *, settle: timedelta = SETTLE, stop: asyncio.Event | None = None
) -> AsyncIterator[frozenset[str]]:
    """The files that changed, relative to ``root``, once for each burst of changes.

    A burst ends when nothing changed for a moment, or after ``settle``.  Ends when ``stop`` is
    set; cancelling stops the watching thread.  Only the project's own directories are watched,
    one by one: the message store below ``root`` changes thousands of times a second.
    """
    root = _absolute(root)
    while stop is None or not stop.is_set():
        directories = _directories(root)
        async for changes in awatch(
            *directories,
            watch_filter=_concerns,
            debounce=int(settle / timedelta(milliseconds=1)),
            stop_event=stop,
            recursive=False,
            ignore_permission_denied=True,
        ):
            yield frozenset(_relative(root, path) for _, path in changes)
            if _directories(root) != directories:
                break
        else:
            return


def _absolute(path: Path) -> Path:
    return path.resolve()


def _directories(root: Path) -> list[Path]:
    """Where files of the project can appear; a directory that is not there yet is noticed in the
    one above it."""
    found = [root]
    for top in (root / "channels", root / "mappings", root / "structures"):
        if top.is_dir():
            found += [top, *sorted(path for path in top.rglob("*") if path.is_dir())]
    return found


def _concerns(_change: Change, path: str) -> bool:
    # A Kubernetes ConfigMap is replaced by moving the link '..data'.
    name = Path(path).name
    if name.endswith(".txt"):
        return Path(path).parent.name == "structures"
    return name.endswith((".yaml", ".csv", ".json")) or name == "..data" or Path(path).is_dir()


def _relative(root: Path, path: str) -> str:
    found = Path(path)
    return found.relative_to(root).as_posix() if found.is_relative_to(root) else found.as_posix()
