"""What one engine tells the others by way of the database: LISTEN and NOTIFY.

A notice is sent by the transaction that changes the store, and comes with its commit.  It says only
where to look; what was decided is in the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import psycopg

from engine.store.postgresql.connection import NOTICES, Raw

AGAIN_SECONDS = 1.0


async def hear(connect: Callable[[], Raw], told: Callable[[str | None], None]) -> None:
    """Until cancelled: ``told`` with the text of each notice, on the event loop; with None whenever
    some may have been missed, also at the beginning."""
    while True:
        try:
            connection = await _connected(connect)
        except psycopg.Error:
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        try:
            told(None)
            await _heard(connection, told)
        finally:
            with suppress(psycopg.Error):
                connection.close()
        await asyncio.sleep(AGAIN_SECONDS)


async def _connected(connect: Callable[[], Raw]) -> Raw:
    """Cancelled meanwhile, it leaves no connection behind."""
    connecting = asyncio.ensure_future(asyncio.to_thread(_listening, connect))
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        with suppress(psycopg.Error):
            (await connecting).close()
        raise


def _listening(connect: Callable[[], Raw]) -> Raw:
    connection = connect()
    try:
        connection.execute(f"LISTEN {NOTICES}")
    except BaseException:
        connection.close()
        raise
    return connection


async def _heard(connection: Raw, told: Callable[[str | None], None]) -> None:
    """Return when the connection is lost."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()
    raw = connection.pgconn

    def readable() -> None:
        try:
            raw.consume_input()
            while (notice := raw.notifies()) is not None:
                told(bytes(notice.extra).decode("utf-8", "replace"))
        except psycopg.Error:
            if not lost.done():
                lost.set_result(None)

    descriptor = connection.fileno()
    loop.add_reader(descriptor, readable)
    try:
        readable()  # what came with the answer to LISTEN
        await lost
    finally:
        loop.remove_reader(descriptor)
