"""Take a backup: what is in the store at one moment, or what is new since the backup before.

The engine goes on meanwhile.  Everything is written into a folder that is no backup yet; writing
the manifest and giving the folder its name is what completes it.

An incremental backup has the rows that the engine only ever adds (contents, events, exchanges)
above the highest ids of the one before; of messages and deliveries also older ones, where an event
tells of a change, and every unfinished delivery.  The ids of all rows that are still there go along
with each backup: what retention deleted in between is not put back, and what is missing is found.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.contract import StoreUnavailable, UnknownMessage
from engine.store.backup import failures, manifest, tables
from engine.store.backup.ends import Snapshot
from engine.store.backup.manifest import FORMAT, Kind, Manifest
from engine.store.backup.project import keep_project
from engine.store.backup.ranges import Ranges, of
from engine.store.backup.records import FileFacts, write_rows
from engine.store.content import ContentFolder
from engine.store.database import Row
from engine.store.rows import micros
from engine.store.states import UNFINISHED

Progress = Callable[[str, int], None]
"""Called now and then with a table's name and how many of its rows are done."""

FULL_AFTER: Final = timedelta(days=7)
_DEDUP_MARGIN: Final = 3_600_000_000  # an engine's clock may have been set back
_EVERY: Final = 5000  # rows between two calls of the progress
_WAITING: Final = "state IN ({})".format(", ".join(f"'{state}'" for state in UNFINISHED))


def kind_for(folder: Path, now: datetime) -> Kind:
    """Full when there is none of the last seven days, else incremental."""
    full = [one for one in manifest.all_of(folder) if one.name.endswith(f"-{Kind.FULL}")]
    if not full or now - manifest.read(full[-1]).time >= FULL_AFTER:
        return Kind.FULL
    return Kind.INCREMENTAL


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make ``folder`` and be the only one who writes there.  Raises BackupError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise failures.unusable(str(folder), error) from None
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise failures.busy(str(folder)) from None
        yield
    finally:
        os.close(number)


def take(
    snapshot: Snapshot,
    content: ContentFolder,
    folder: Path,
    kind: Kind,
    *,
    project: Path | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = lambda table, rows: None,
) -> Manifest:
    """Write one backup below ``folder``, of which the caller is the only writer.

    Raises BackupError; what the snapshot's driver raises is passed on.
    """
    made = now()
    base = _base(folder) if kind is Kind.INCREMENTAL else None
    final = folder / manifest.name_of(made, kind)
    part = folder / f"{manifest.PART}{final.name}"
    try:
        manifest.sweep(folder)
        part.mkdir(mode=0o700)
        taker = _Taker(snapshot, content, part, base, progress)
        files = taker.files()
        if project is not None:
            files["project"] = keep_project(project, part)
        return manifest.write(
            Manifest(
                format=FORMAT,
                kind=kind,
                made_at=made.isoformat(),
                ended_at=now().isoformat(),
                base=None if base is None else base.name,
                base_sha256=None if base is None else base.sha256,
                schema=snapshot.revision(),
                database=snapshot.kind,
                configuration=taker.configuration(),
                since=taker.since,
                upto=taker.upto(made),
                counters=snapshot.counters(),
                totals=taker.totals,
                files=files,
            ),
            part,
            final,
        )
    except OSError as error:
        raise failures.unusable(str(folder), error) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _base(folder: Path) -> Manifest:
    found = manifest.all_of(folder)
    if not found:
        raise failures.broken_chain(str(folder), "there is no backup to continue")
    return manifest.chain_of(found[-1])[-1]


class _Taker:
    """Writes the files of one backup, and knows afterwards what was there."""

    def __init__(
        self,
        snapshot: Snapshot,
        content: ContentFolder,
        part: Path,
        base: Manifest | None,
        progress: Progress,
    ) -> None:
        self._snapshot = snapshot
        self._content = content
        self._part = part
        self._base = base
        self._progress = progress
        self._gone: set[int] = set()
        self.since = dict(base.upto) if base is not None else {"seq": 0, "event": 0, "at": 0}
        self.totals: dict[str, int] = {}

    def files(self) -> dict[str, FileFacts]:
        found: dict[str, FileFacts] = {}
        ids: dict[str, Ranges] = {}
        for one in tables.TABLES:
            self._gone = set()
            numbers = Ranges()
            columns = one.columns
            rows = self._rows(one)
            if self._base is None and one in tables.NUMBERED:
                rows = _noting(rows, columns.index(one.key), numbers)
            found[one.name] = write_rows(
                self._part / f"{one.name}.gz", columns, tables.binary_of(one, columns), rows
            )
            if one in tables.NUMBERED:
                ids[one.name] = numbers if self._base is None else self._all_ids(one)
                self.totals[one.name] = ids[one.name].count
        self.totals["message_key"] = self._count_keys()
        found["ids"] = write_rows(
            self._part / "ids.gz",
            ("table", "first", "last"),
            (),
            ((name, first, last) for name, runs in ids.items() for first, last in runs),
        )
        return found

    def upto(self, made: datetime) -> dict[str, int]:
        """The ids above which the next backup looks."""
        at = micros(made)
        before = at - self._snapshot.overlap
        found = {"at": at}
        for name, table, key, time in (
            ("seq", "message", "seq", "received_at"),
            ("event", "event", "id", "at"),
        ):
            where = f" WHERE {time} < {before}" if self._snapshot.overlap else ""
            source = f"FROM {table}{where} ORDER BY {key} DESC LIMIT 1"
            highest = _first(self._snapshot.rows((key,), ("int",), source), 0)
            found[name] = max(highest, self.since[name])
        return found

    def configuration(self) -> str:
        source = "FROM message ORDER BY seq DESC LIMIT 1"
        return str(_first(self._snapshot.rows(("config_version",), ("text",), source), ""))

    def _rows(self, one: tables.Copied) -> Iterator[Sequence[Any]]:
        stored = one.stored
        source = f"FROM {one.name} {self._new(one)} ORDER BY {one.key}"
        rows = self._snapshot.rows(stored, tables.kinds_of(one, stored), source)
        done = 0
        for row in self._whole(one, rows) if one.files else rows:
            yield row
            done += 1
            if done % _EVERY == 0:
                self._progress(one.name, done)
        self._progress(one.name, done)

    def _new(self, one: tables.Copied) -> str:
        """The condition that leaves out what the backup before has."""
        if self._base is None:
            return ""
        seq, event = self.since["seq"], self.since["event"]
        moved = f"SELECT delivery FROM event WHERE id > {event}"  # noqa: S608
        conditions = {
            "message": f"seq > {seq} OR seq IN"  # noqa: S608
            f" (SELECT message FROM delivery WHERE id IN ({moved}))",
            "content": f"seq > {seq}",
            "delivery": f"id IN ({moved}) OR {_WAITING} OR"  # noqa: S608
            f" id >= (SELECT min(delivery) FROM message WHERE seq > {seq})",
            "event": f"id > {event}",
            "exchange": f"event > {event}",
            "dedup": f"at >= {self.since['at'] - _DEDUP_MARGIN}",
        }
        return f"WHERE {conditions[one.name]}"

    def _whole(self, one: tables.Copied, rows: Iterator[Row]) -> Iterator[Sequence[Any]]:
        """With the bodies out of their files, and without the columns that name them."""
        stored = one.stored
        places = [(stored.index(file), stored.index(body)) for file, body in one.files]
        kept = [stored.index(name) for name in one.columns]
        key = stored.index(one.key)
        for row in rows:
            if all(row[file] is None for file, _ in places):
                yield [row[place] for place in kept]
                continue
            values = list(row)
            for file, body in places:
                if row[file] is not None:
                    values[body] = self._body(row[file])
            if all(values[body] is None for _, body in places):
                self._gone.add(row[key])
            else:
                yield [values[place] for place in kept]

    def _body(self, file: str) -> bytes | None:
        """None: retention took it away since the snapshot, and its row with it."""
        try:
            return self._content.read(file)
        except UnknownMessage:
            return None
        except StoreUnavailable as error:
            raise failures.damaged(file, error.info.summary) from None

    def _all_ids(self, one: tables.Copied) -> Ranges:
        source = f"FROM {one.name} ORDER BY {one.key}"
        rows = self._snapshot.rows((one.key,), ("int",), source)
        return of(number for (number,) in rows if number not in self._gone)

    def _count_keys(self) -> int:
        return int(_first(self._snapshot.rows(("count(*)",), ("int",), "FROM message_key"), 0))


def _first(rows: Iterator[Row], default: Any) -> Any:
    """The only value of the only row; the read is ended."""
    return next(iter([row[0] for row in rows]), default)


def _noting(rows: Iterator[Sequence[Any]], place: int, numbers: Ranges) -> Iterator[Sequence[Any]]:
    for row in rows:
        numbers.add(row[place])
        yield row
