"""Which engine processes live, and what only one of them may do at a time.

All times are the database's clock.  One thread at a time, with a connection of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import psycopg

from engine.store.database import Connection, NodeRow, Row
from engine.store.postgresql.connection import Raw
from engine.store.postgresql.notices import hear
from engine.store.states import UNFINISHED

LEASE_SECONDS: Final = 4.0
"""After so long without a beat a node may be given up by the others."""

_REMEMBERED_SECONDS: Final = 3600.0

_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8"
_MICROS: Final = 1_000_000


class Nodes:
    """``node`` is the life of this process, 0 before `begin`."""

    def __init__(self, connect: Callable[[str], Raw]) -> None:
        self.node = 0
        self._connect = connect
        self._connection: Raw | None = None
        self._steady_since: float | None = None
        self._lock = threading.Lock()

    def begin(self, name: str) -> int:
        """A new life of the process ``name``; the one before, if any, is over (the caller has made
        sure of that, by a lock on its node)."""
        self.close()
        self.node = 0
        connection = self._open()
        with connection.transaction():
            earlier = connection.execute(
                "SELECT id FROM node WHERE name = $1 AND stopped_at IS NULL", (name,)
            ).fetchall()
            _bury(connection, [row[0] for row in earlier])
            row = connection.execute(
                "INSERT INTO node (name, started_at, lease_until, died, mark)"  # noqa: S608
                f" VALUES ($1, {_NOW}, {_NOW} + $2, 0, 0) RETURNING id",
                (name, int(LEASE_SECONDS * _MICROS)),
            ).fetchone()
        assert row is not None  # noqa: S101
        self.close()
        self.node = int(row[0])
        self._steady_since = time.monotonic()
        return self.node

    def end(self, clean: bool) -> None:
        """This life is over; what it had in hand is for anybody to take."""
        with self._lock:
            self._open().execute(
                f"UPDATE node SET stopped_at = {_NOW}, died = $2"  # noqa: S608
                " WHERE id = $1 AND stopped_at IS NULL",
                (self.node, int(not clean)),
            )
            self.close()

    def beat(self) -> bool:
        """Prolong the lease.  False when the others have given this life up."""
        with self._lock:
            try:
                changed = self._open().execute(
                    f"UPDATE node SET lease_until = {_NOW} + $2"  # noqa: S608
                    " WHERE id = $1 AND stopped_at IS NULL",
                    (self.node, int(LEASE_SECONDS * _MICROS)),
                )
            except psycopg.Error:
                self._steady_since = None
                self.close()
                raise
            if self._steady_since is None:
                self._steady_since = time.monotonic()
            return changed.rowcount == 1

    def bury(self) -> tuple[int, ...]:
        """Give up the nodes whose lease ran out: nothing of theirs is committed any more.  Returns
        those of which the deliveries in hand are not looked at yet.

        Nobody is given up before the database could be reached for as long as a lease: whoever
        could not beat because the server was away gets the time to.
        """
        with self._lock:
            steady = self._steady_since
            try:
                connection = self._open()
                if steady is not None and time.monotonic() - steady >= LEASE_SECONDS:
                    with connection.transaction():
                        late = connection.execute(
                            "SELECT id FROM node WHERE stopped_at IS NULL AND id <> $1"  # noqa: S608
                            f" AND lease_until < {_NOW}",
                            (self.node,),
                        ).fetchall()
                        _bury(connection, [row[0] for row in late])
                rows = connection.execute("SELECT id FROM node WHERE died = 1").fetchall()
            except psycopg.Error:
                self.close()
                raise
            return tuple(row[0] for row in rows)

    def buried(self, connection: Connection, nodes: Sequence[int]) -> None:
        """In the transaction that took over the last of what they had in hand."""
        for node in nodes:
            connection.execute("UPDATE node SET died = 0 WHERE id = ?", (node,))

    def outlive(self) -> tuple[int, ...]:
        """`bury` where a shared broker hands on what they had in hand; returns those given up.
        Nodes that stopped long ago are forgotten."""
        late = self.bury()
        if late:
            self._ask("UPDATE node SET died = 0 WHERE died = 1")
        self._ask(
            f"DELETE FROM node WHERE stopped_at < {_NOW} - $1 AND died = 0",  # noqa: S608
            int(_REMEMBERED_SECONDS * _MICROS),
        )
        self._ask(
            "DELETE FROM node_status WHERE node NOT IN"
            " (SELECT id FROM node WHERE stopped_at IS NULL)"
        )
        return late

    def show(self, status: str) -> None:
        """What the others see of this process; kept until it ends."""
        self._ask(
            "INSERT INTO node_status (node, status) VALUES ($1, $2)"
            " ON CONFLICT (node) DO UPDATE SET status = excluded.status",
            self.node,
            status,
        )

    def shown(self) -> list[NodeRow]:
        """Of every living process, by id; this one too."""
        rows = self._ask(
            "SELECT n.id, n.name, n.started_at, n.lease_until - $1, coalesce(s.status, '')"  # noqa: S608
            " FROM node AS n LEFT JOIN node_status AS s ON s.node = n.id"
            f" WHERE n.stopped_at IS NULL AND n.lease_until >= {_NOW} ORDER BY n.id",
            int(LEASE_SECONDS * _MICROS),
        ).fetchall()
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    async def listen(self, told: Callable[[str | None], None]) -> None:
        await hear(lambda: self._connect("notices"), told)

    def stopped(self) -> tuple[int, ...]:
        """Nodes that stopped and have deliveries in hand that are unfinished; the others that
        stopped are forgotten."""
        unfinished = f"state IN ({', '.join(repr(str(state)) for state in UNFINISHED)})"
        with self._lock:
            try:
                connection = self._open()
                connection.execute(
                    "DELETE FROM node WHERE stopped_at IS NOT NULL AND died = 0 AND NOT EXISTS"  # noqa: S608
                    f" (SELECT 1 FROM delivery WHERE owner = node.id AND {unfinished})"
                )
                rows = connection.execute(
                    "SELECT id FROM node WHERE stopped_at IS NOT NULL AND died = 0"
                ).fetchall()
            except psycopg.Error:
                self.close()
                raise
            return tuple(row[0] for row in rows)

    def living(self) -> dict[int, str]:
        """Id and name of every node that is alive, this one too."""
        with self._lock:
            try:
                rows = (
                    self._open()
                    .execute(
                        "SELECT id, name FROM node WHERE stopped_at IS NULL"  # noqa: S608
                        f" AND lease_until >= {_NOW} ORDER BY id"
                    )
                    .fetchall()
                )
            except psycopg.Error:
                self.close()
                raise
            return {row[0]: row[1] for row in rows}

    def acquire(self, name: str, owner: str, seconds: float) -> int | None:
        """The epoch of the named lease, if it is free or this owner's, else None."""
        row = self._ask(_ACQUIRE, name, owner, int(seconds * _MICROS)).fetchone()
        return None if row is None else int(row[0])

    def renew(self, name: str, owner: str, epoch: int, seconds: float) -> bool:
        """False when it is lost: it ran out, or another has it."""
        changed = self._ask(
            f"UPDATE lease SET until = {_NOW} + $4"  # noqa: S608
            f" WHERE name = $1 AND owner = $2 AND epoch = $3 AND until >= {_NOW}",
            name,
            owner,
            epoch,
            int(seconds * _MICROS),
        )
        return changed.rowcount == 1

    def release(self, name: str, owner: str, epoch: int) -> None:
        """Another may have it at once."""
        self._ask(
            "UPDATE lease SET until = 0 WHERE name = $1 AND owner = $2 AND epoch = $3",
            name,
            owner,
            epoch,
        )

    def _ask(self, text: str, *values: object) -> psycopg.Cursor[Row]:
        with self._lock:
            try:
                return self._open().execute(text, values)
            except psycopg.Error:
                self.close()
                raise

    def close(self) -> None:
        """Idempotent; the next call connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _open(self) -> Raw:
        if self._connection is None or self._connection.closed:
            self._connection = self._connect("node")
            # A beat that is lost in a crash of the server is made again.
            self._connection.execute("SET lock_timeout = '3s'")
        return self._connection


_ACQUIRE: Final = (
    "INSERT INTO lease (name, owner, until, epoch)"  # noqa: S608
    f" VALUES ($1, $2, {_NOW} + $3, 1)"
    " ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until, epoch ="
    f" CASE WHEN lease.owner = excluded.owner AND lease.until >= {_NOW}"
    " THEN lease.epoch ELSE lease.epoch + 1 END"
    f" WHERE lease.owner = excluded.owner OR lease.until < {_NOW}"
    " RETURNING epoch"
)


def _bury(connection: Raw, nodes: list[int]) -> None:
    """Their connections are ended, so that a transaction that hangs holds nobody up; then the row
    is locked, and a commit that is being made comes before or fails."""
    for node in nodes:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user"
            " AND application_name LIKE $1 AND pid <> pg_backend_pid()",
            (f"carebus {node} %",),
        )
        connection.execute(
            f"UPDATE node SET stopped_at = {_NOW}, died = 1"  # noqa: S608
            " WHERE id = $1 AND stopped_at IS NULL",
            (node,),
        )
