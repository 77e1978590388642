"""Put a backup, with those that it continues, into an empty store.

The newest rows come first, and a row that is there already stays: so each is as it was at the
time of the backup that was asked for.  Nothing of the store is there for an engine before the check
has found that nothing is missing.

What was sent after the backup nobody knows.  So every unfinished delivery is a possible duplicate,
and the store is left as by an engine that was killed: the next one that starts holds for a person,
or sends again, what was being sent at that moment, as the channels say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.store.backup import failures, tables
from engine.store.backup.ends import Loading
from engine.store.backup.manifest import Manifest
from engine.store.backup.ranges import Ranges, of
from engine.store.backup.records import read_rows
from engine.store.backup.taking import Progress
from engine.store.backup.verifying import ids_of
from engine.store.content import LARGE, ContentFolder
from engine.store.rows import CONTROL_ID, key_text, micros, object_of
from engine.store.schema import BLOCK, REVISION, message_key
from engine.store.states import UNFINISHED

_MINUTE: Final = 60_000_000
_EVERY: Final = 5000


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the check: how many the backup says there are, and how many of these are
    there.  ``extra`` are there and should not be."""

    what: str
    expected: int
    found: int
    extra: int = 0

    @property
    def whole(self) -> bool:
        return self.expected == self.found and not self.extra


def restore(
    chain: Sequence[Manifest],
    target: Loading,
    content: ContentFolder,
    progress: Progress = lambda table, rows: None,
) -> list[Found]:
    """The check's lines.  The store is finished when all of them are whole, otherwise nothing is
    there.  Raises BackupError; what the target's driver raises is passed on."""
    newest = chain[-1]
    if newest.schema > REVISION:
        raise failures.newer(str(newest.path))
    live = ids_of(newest)
    for one in tables.TABLES:
        for backup in reversed(chain):
            facts = backup.files[one.name]
            rows = read_rows(backup.path / facts.name, tables.binary_of(one, facts.columns))
            wanted = rows if one not in tables.NUMBERED else _live(one, facts.columns, rows, live)
            _insert(one, facts.columns, _told(one, wanted, progress), target, content)
    _insert_keys(chain, live["message"], target)
    target.settle(micros(newest.time), newest.counters, f"restored from {newest.name}")
    found = check(newest, live, target, content)
    if all(line.whole for line in found):
        target.finish()
    return found


def _live(
    one: tables.Copied, columns: Sequence[str], rows: Iterable[list[Any]], live: dict[str, Ranges]
) -> Iterator[list[Any]]:
    """Without what retention had deleted by then; unfinished deliveries are flagged."""
    key, there = columns.index(one.key), live[one.name]
    if one.name != "delivery":
        yield from (row for row in rows if row[key] in there)
        return
    state, flag = columns.index("state"), columns.index("possible_duplicate")
    for row in rows:
        if row[key] in there:
            if row[state] in UNFINISHED:
                row[flag] = 1
            yield row


def _told(one: tables.Copied, rows: Iterable[list[Any]], progress: Progress) -> Iterator[list[Any]]:
    done = 0
    for row in rows:
        yield row
        done += 1
        if done % _EVERY == 0:
            progress(one.name, done)
    progress(one.name, done)


def _insert(
    one: tables.Copied,
    columns: Sequence[str],
    rows: Iterable[list[Any]],
    target: Loading,
    content: ContentFolder,
) -> None:
    if target.files and one.files:
        bodies = [columns.index(body) for _, body in one.files]
        columns = (*columns, *(file for file, _ in one.files))
        rows = (_filed(row, bodies, content) for row in rows)
    target.insert(one.name, columns, tables.kinds_of(one, columns), rows)


def _filed(row: list[Any], bodies: Sequence[int], content: ContentFolder) -> list[Any]:
    """With large bodies in files, and the files' names behind the other values."""
    for place in bodies:
        body = row[place]
        if body is not None and len(body) > LARGE:
            row[place] = None
            row.append(content.keep(body))
        else:
            row.append(None)
    return row


def _insert_keys(chain: Sequence[Manifest], live: Ranges, target: Loading) -> None:
    """What is searched by, made again from the messages."""
    bounds: dict[int, tuple[int, int]] = {}

    def keys() -> Iterator[tuple[int, str, str, int]]:
        for backup in reversed(chain):
            facts = backup.files["message"]
            places = [
                facts.columns.index(name)
                for name in ("seq", "control_id", "search_keys", "received_at")
            ]
            for row in read_rows(backup.path / facts.name, ()):
                seq, control_id, given, at = (row[place] for place in places)
                if seq not in live:
                    continue
                block = seq // BLOCK
                low, high = bounds.get(block, (at, at))
                bounds[block] = (min(low, at), max(high, at))
                if control_id:
                    yield (block, CONTROL_ID, key_text(control_id), seq)
                for kind, value in object_of(given).items():
                    if value:
                        yield (block, kind, key_text(value), seq)

    names = tuple(str(column.name) for column in message_key.columns)
    target.insert("message_key", names, ("int", "text", "text", "int"), keys())
    target.insert(
        "block_time",
        ("block", "first_at", "last_at"),
        ("int", "int", "int"),
        (
            (block, low // _MINUTE * _MINUTE, (high // _MINUTE + 1) * _MINUTE)
            for block, (low, high) in bounds.items()
        ),
    )


def check(
    newest: Manifest, live: dict[str, Ranges], target: Loading, content: ContentFolder
) -> list[Found]:
    """Compare what is in the target with what the backup says, id by id and file by file."""
    found: list[Found] = []
    with target.snapshot() as snapshot:
        for one in tables.NUMBERED:
            source = f"FROM {one.name} ORDER BY {one.key}"
            there = of(row[0] for row in snapshot.rows((one.key,), ("int",), source))
            wanted = live[one.name]
            missing = wanted.missing_from(there)
            extra = there.missing_from(wanted)
            found.append(Found(one.name, wanted.count, wanted.count - missing, extra))
        (keys,) = [row[0] for row in snapshot.rows(("count(*)",), ("int",), "FROM message_key")]
        expected = newest.totals["message_key"]
        found.append(Found("message_key", expected, min(keys, expected), max(0, keys - expected)))
        names: set[str] = set()
        for one in tables.TABLES:
            for file, _ in one.files:
                source = f"FROM {one.name} WHERE {file} IS NOT NULL"
                names.update(str(row[0]) for row in snapshot.rows((file,), ("text",), source))
    whole = sum(content.is_whole(name) for name in names)
    found.append(Found("content files", len(names), whole))
    return found
