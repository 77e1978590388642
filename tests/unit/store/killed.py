"""A store whose process was killed, as far as its data can tell."""

from __future__ import annotations

from engine.store import SqlStore
from engine.testing.store import GRACE


async def abandon(store: SqlStore) -> None:
    """Nothing more is noted; the threads end and the lock is free, as after a kill."""
    await store._writer.stop(GRACE)
    store._readers.close()
    store._lock.release()
    store._is_open = False
