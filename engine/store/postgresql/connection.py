"""`engine.store.database.Connection` on psycopg.

A batch travels as one pipeline: the statements and the commit are sent without waiting between
them, and a table's rows are arrays of its columns, so that one prepared statement fits every number
of rows.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final

import psycopg
from psycopg import errors, pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger
from sqlalchemy.dialects.postgresql.base import PGDialect

from engine.store import failures, schema
from engine.store.database import CommitUnknown, Row, Values
from engine.store.statements import Change, Insert, Read
from engine.store.states import UNFINISHED

Raw = psycopg.Connection[Row]

NOTICES: Final = "carebus"
"""The channel of LISTEN and NOTIFY."""

DAY_IDS: Final = 2**32
"""Ids of one day: the first of a day is its number, counted from 1970, times this."""

DIALECT: Final = PGDialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]

# --- values ---------------------------------------------------------------------------------


class _Int8s(list[Any]):
    """A column of integers."""


class _Texts(list[Any]):
    """A column of texts."""


class _Byteas(list[Any]):
    """A column of binary contents."""


_INT8: Final = struct.Struct("!q").pack


def _array(element: int, items: Sequence[bytes | None]) -> bytes:
    """The binary form of a one-dimensional array."""
    null = struct.pack("!i", -1)
    parts = [struct.pack("!iiIii", 1, 1, element, len(items), 1)]
    for item in items:
        if item is None:
            parts.append(null)
        else:
            parts.append(len(item).to_bytes(4, "big"))
            parts.append(item)
    return b"".join(parts)


class _Int8sDumper(Dumper):
    format = pq.Format.BINARY
    oid = 1016

    def dump(self, obj: Any) -> Buffer:
        return _array(20, [None if one is None else _INT8(one) for one in obj])


class _TextsDumper(Dumper):
    format = pq.Format.BINARY
    oid = 1009

    def dump(self, obj: Any) -> Buffer:
        return _array(25, [None if one is None else clean(one).encode() for one in obj])


class _ByteasDumper(Dumper):
    format = pq.Format.BINARY
    oid = 1001

    def dump(self, obj: Any) -> Buffer:
        return _array(17, obj)


def register(connection: Raw) -> None:
    """Make the columns known to a connection."""
    connection.adapters.register_dumper(_Int8s, _Int8sDumper)
    connection.adapters.register_dumper(_Texts, _TextsDumper)
    connection.adapters.register_dumper(_Byteas, _ByteasDumper)


def clean(value: str) -> str:
    """PostgreSQL has no NUL in texts."""
    return value.replace("\0", "\ufffd") if "\0" in value else value


def _plain(value: Any) -> Any:
    return clean(str(value)) if isinstance(value, str) else value


def _column(column: Column[Any]) -> tuple[str, type[list[Any]]]:
    if isinstance(column.type, BigInteger | Integer | SmallInteger):
        return "int8", _Int8s
    return ("bytea", _Byteas) if isinstance(column.type, LargeBinary) else ("text", _Texts)


# --- statements -----------------------------------------------------------------------------

UNFINISHED_SQL: Final = f"state IN ({', '.join(repr(str(state)) for state in UNFINISHED)})"
_MARK = re.compile(r"\?|(?<!:):([a-z_]+)")


@cache
def _translated(text: str) -> tuple[str, tuple[str, ...]]:
    """With ``$1`` for ``?`` and ``:name``, and the names in their order."""
    names: list[str] = []
    count = 0

    def numbered(match: re.Match[str]) -> str:
        nonlocal count
        name = match[1]
        if name is None:
            count += 1
            return f"${count}"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _MARK.sub(numbered, text), tuple(names)


class _Many:
    """A statement whose rows are arrays, one for each column."""

    def __init__(self, text: str, kinds: Sequence[type[list[Any]]]) -> None:
        self.text = text
        self._kinds = kinds

    def values(self, rows: Sequence[Row]) -> list[Any]:
        columns = zip(*rows, strict=True)
        return [kind(column) for kind, column in zip(self._kinds, columns, strict=True)]


def _inserting(given: Insert) -> _Many:
    columns = list(given.table.columns)
    types = [_column(column) for column in columns]
    arrays = ", ".join(f"${number}::{name}[]" for number, (name, _) in enumerate(types, 1))
    names = ", ".join(column.name for column in columns)
    return _Many(
        f"INSERT INTO {given.table.name} ({names}) SELECT * FROM unnest({arrays}){given.tail}",  # noqa: S608
        [kind for _, kind in types],
    )


def _changing(given: Change) -> _Many:
    types = [_column(schema.delivery.columns[name]) for name in given.columns]
    arrays = ", ".join(f"${number}::{name}[]" for number, (name, _) in enumerate(types, 1))
    return _Many(
        f"UPDATE delivery SET {given.settings}"  # noqa: S608
        f" FROM unnest({arrays}) AS new ({', '.join(given.columns)})"
        f" WHERE {given.where} RETURNING delivery.id",
        [kind for _, kind in types],
    )


class _Compiled:
    def __init__(self, read: Read) -> None:
        compiled = read.select.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
        self.text = compiled.string
        self.names = compiled.positiontup or []
        self.values = compiled.params


class Cursor:
    """What a statement gave; asking for it ends the sending without waiting."""

    def __init__(self, connection: Connection, cursor: psycopg.Cursor[Row]) -> None:
        self._connection = connection
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        self._connection.settle()
        return self._cursor.rowcount

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor.fetchall())


class Connection:
    """`engine.store.database.Connection`.

    ``node`` is the engine that writes; None for a reader, whose every statement is a transaction.
    ``numbers`` is the connection that ids are asked for by: they are given for good at once, so
    that nobody waits for another's transaction, and in the order in which they are asked for.
    """

    def __init__(
        self,
        raw: Raw,
        node: int | None = None,
        numbers: Raw | None = None,
        mark: int = 0,
    ) -> None:
        self._raw = raw
        self._node = node
        self._numbers = numbers
        self._mark = mark
        self._pipeline: Any = None
        self._sending: Any = None

    def execute(self, text: str, values: Values = (), /) -> Cursor:
        translated, names = _translated(text)
        given = [values[name] for name in names] if isinstance(values, Mapping) else values
        return self._send(translated, [_plain(value) for value in given])

    def read(self, read: Read, values: Mapping[str, Any], /) -> Sequence[Sequence[Any]]:
        compiled: _Compiled = read.compiled
        if not isinstance(compiled, _Compiled):
            read.compiled = compiled = _Compiled(read)
        known = {**compiled.values, **values}
        return self._send(
            compiled.text, [_plain(known[name]) for name in compiled.names]
        ).fetchall()

    def insert(self, insert: Insert, rows: Sequence[Row], /) -> None:
        many: _Many = insert.compiled
        if not isinstance(many, _Many):
            insert.compiled = many = _inserting(insert)
        self._send(many.text, many.values(rows), prepare=True)

    def change(self, change: Change, rows: Sequence[Row], /) -> int:
        many: _Many = change.compiled
        if not isinstance(many, _Many):
            change.compiled = many = _changing(change)
        return len(self._send(many.text, many.values(rows), prepare=True).fetchall())

    def claim_keys(self, keys: Sequence[Row], /) -> Mapping[bytes, tuple[str, int]]:
        """Writing them locks them, also where they are known: whoever comes second waits, and
        finds what the first one wrote."""
        ours = {key[0]: key[1] for key in keys}
        columns = zip(*keys, strict=True)
        kinds = (_Byteas, _Texts, _Int8s, _Int8s)
        rows = self._send(
            "INSERT INTO dedup (digest, message, at, expires_at)"
            " SELECT * FROM unnest($1::bytea[], $2::text[], $3::int8[], $4::int8[])"
            " ON CONFLICT (digest) DO UPDATE SET message = dedup.message"
            " RETURNING digest, message, at",
            [kind(column) for kind, column in zip(kinds, columns, strict=True)],
        ).fetchall()
        return {digest: (message, at) for digest, message, at in rows if ours[digest] != message}

    def take_over(self, owners: Sequence[int], to: int, *, flag: bool, limit: int) -> int:
        taken = self._send(
            "UPDATE delivery SET owner = $1, possible_duplicate = possible_duplicate | $2"  # noqa: S608
            f" WHERE id IN (SELECT id FROM delivery WHERE owner = ANY($3) AND {UNFINISHED_SQL}"
            " LIMIT $4 FOR UPDATE SKIP LOCKED)",
            (to, int(flag), _Int8s(owners), limit),
        )
        return taken.rowcount

    def tell(self, notice: str, /) -> None:
        self._send("SELECT pg_notify($1, $2)", (NOTICES, notice))

    def reserve(self, seqs: int, deliveries: int, events: int, /) -> tuple[int, int, int]:
        """A day's ids begin at its number times 2**32, so that a partition of ids is one of days;
        otherwise none is left out.  The day is the database's."""
        if self._numbers is None:
            raise failures.closed()
        cursor = self._numbers.execute(_NUMBERS, (seqs, deliveries, events))
        row = cursor.fetchone()
        if row is None:
            raise failures.closed()
        return row[0] - seqs, row[1] - deliveries, row[2] - events

    def commit(self) -> None:
        if self._pipeline is None:
            return
        self._mark += 1
        ending, self._pipeline = self._pipeline, None
        try:
            self._raw.execute(_STILL_ALIVE, (self._node, self._mark), prepare=True)
            # An error of any statement so far keeps the server from looking at this one.
            cursor = self._raw.execute("COMMIT")
            ending.__exit__(None, None, None)
        except psycopg.Error:
            if self._raw.closed:
                raise CommitUnknown(self._mark) from None
            raise
        if cursor.statusmessage != "COMMIT":
            raise errors.InFailedSqlTransaction("the transaction had failed")

    def rollback(self) -> None:
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            with suppress(psycopg.Error):
                pipeline.__exit__(None, None, None)
        if self._raw.closed:
            raise errors.OperationalError("the connection is closed")
        if self._raw.info.transaction_status != pq.TransactionStatus.IDLE:
            self._raw.execute("ROLLBACK")

    def committed(self, mark: int, /) -> bool:
        """The row is locked by a commit that is still being made."""
        row = self._raw.execute(
            "SELECT mark FROM node WHERE id = $1 FOR UPDATE", (self._node,)
        ).fetchone()
        self._mark = max(self._mark, mark)
        return row is not None and bool(row[0] >= mark)

    def close(self) -> None:
        self._pipeline = None
        for each in (self._raw, self._numbers):
            if each is not None:
                with suppress(psycopg.Error):
                    each.close()

    def settle(self) -> None:
        """Wait for what was sent; raises the first error of it."""
        if self._pipeline is not None:
            self._sending.sync()

    def _send(self, text: str, values: Sequence[Any], *, prepare: bool | None = None) -> Cursor:
        if self._node is not None and self._pipeline is None:
            self._pipeline = self._raw.pipeline()
            self._sending = self._pipeline.__enter__()
            self._raw.execute("BEGIN")
        cursor = self._raw.cursor()
        cursor.execute(text, values, prepare=prepare, binary=True)
        return Cursor(self, cursor)


DAY: Final = "floor(extract(epoch FROM clock_timestamp()) / 86400)::int8"
"""Today, counted from 1970-01-01, by the database's clock (UTC)."""
_DAY: Final = f"{DAY} * {DAY_IDS}"
_NUMBERS: Final = (
    f"UPDATE counter SET seq = greatest(seq, {_DAY}) + $1,"  # noqa: S608
    f" delivery = greatest(delivery, {_DAY}) + $2, event = greatest(event, {_DAY}) + $3"
    " RETURNING seq, delivery, event"
)
_STILL_ALIVE: Final = (
    "WITH alive AS (UPDATE node SET mark = $2 WHERE id = $1 AND stopped_at IS NULL RETURNING 1)"
    " SELECT 1 / count(*) FROM alive"
)
"""Fails (division by zero) when the others have given this engine up."""
