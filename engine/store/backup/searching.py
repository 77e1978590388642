"""Find messages in the archive: the indexes are read, never the contents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from engine.store.backup import failures
from engine.store.backup.day_file import (
    Batch,
    DayFile,
    Entry,
    Part,
    day_of,
    days,
    entry_of,
    parts_of,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Every given field must match.  Times are half-open: [since, until)."""

    id: str = ""
    channel: str = ""
    type: str = ""
    control_id: str = ""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    since: datetime | None = None
    until: datetime | None = None

    def needles(self) -> list[bytes]:
        """What a line of the index must hold, whatever else: most lines are not parsed."""
        given = (self.id, self.channel, self.type, self.control_id, *self.keys.values())
        return [orjson.dumps(text) for text in given if text]

    def matches(self, entry: Entry) -> bool:
        at = datetime.fromisoformat(entry.received_at)
        return (
            (not self.id or entry.id == self.id)
            and (not self.channel or entry.channel == self.channel)
            and (not self.type or entry.type == self.type)
            and (not self.control_id or entry.control_id == self.control_id)
            and all(entry.keys.get(kind) == value for kind, value in self.keys.items())
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )


def search(folder: Path, wanted: Wanted) -> Iterator[Entry]:
    """What is archived below ``folder``, the oldest day first.  Raises BackupError."""
    for day in days(folder):
        if _may_hold(day, wanted):
            for entry, _ in _found(day, wanted).values():
                yield entry


def show(folder: Path, message_id: str) -> tuple[Entry, list[Part]]:
    """One message with its contents.  Raises BackupError: unknown, damaged."""
    wanted = Wanted(id=message_id)
    for day in days(folder):
        for entry, batch in _found(day, wanted).values():
            return entry, parts_of(entry, day.read(batch))
    raise failures.not_archived(str(folder))


def verify(folder: Path) -> Iterator[tuple[DayFile, int]]:
    """Read every batch of every day; how many messages each has.  Raises BackupError."""
    for day in days(folder):
        messages = 0
        for batch, lines in day.batches():
            raw = day.read(batch)
            for line in lines:
                parts_of(entry_of(line), raw)
            if len(lines) != batch.messages:
                raise failures.archive_damaged(str(day.index), "lines of the index are missing")
            messages += len(lines)
        yield day, messages


def _may_hold(day: DayFile, wanted: Wanted) -> bool:
    return (wanted.since is None or day.day >= day_of(wanted.since)) and (
        wanted.until is None or day.day <= day_of(wanted.until)
    )


def _found(day: DayFile, wanted: Wanted) -> dict[str, tuple[Entry, Batch]]:
    """By id: a message that was archived again, after a replay, counts as it was last."""
    needles = wanted.needles()
    found: dict[str, tuple[Entry, Batch]] = {}
    for batch, lines in day.batches():
        for line in lines:
            if all(needle in line for needle in needles):
                entry = entry_of(line)
                if wanted.matches(entry):
                    found[entry.id] = (entry, batch)
    return found
