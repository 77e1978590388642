"""The archive of one day: what was received that day, with what was sent for it and answered.

Two files that only grow, both of gzip members, so that any tool reads them as a whole and we read
one place without the rest:

``2026/2026-01-05.data.gz``
    A member is a batch of messages; a row (see `engine.store.backup.records`) is one payload.
``2026/2026-01-05.index.gz``
    A member is what the batch of the same number has: a line that says where it is, and a line for
    each message.

A batch is in the archive when its member of the index is on the disk, which is written after the
data was, and was read back.  What a kill leaves behind that is cut off before the next batch.
"""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import orjson

from engine.contract import Payload
from engine.store.backup import failures
from engine.store.backup.records import GZIP, packed, private, sync_folder, unpacked

_CHUNK: Final = 256 * 1024
_LEVEL: Final = 6  # written once, kept for years
_BODY: Final = 9  # the place of the bytes in a row
_NAME: Final = re.compile(r"^(\d{4}-\d\d-\d\d)\.index\.gz$")


@dataclass(frozen=True, slots=True)
class Part:
    """One payload: what was received (``what`` is content), sent, or the reply."""

    what: str
    delivery: int
    route: str
    target: str
    channel: str
    state: str
    at: str
    payload: Payload = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is searched by.  ``newest`` is the newest event of the message's deliveries: who has
    the same has the same contents."""

    id: str
    channel: str
    type: str
    control_id: str
    received_at: str
    state: str
    peer: str
    keys: dict[str, str]
    newest: int
    offset: int = 0
    """Of the message in its batch, when the batch is not compressed; ``size`` bytes."""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a batch of messages is in the file of the data."""

    offset: int
    size: int
    sha256: str
    messages: int


class DayFile:
    """One writer at a time; readers may come any time and see whole batches only."""

    def __init__(self, folder: Path, day: date) -> None:
        self.day = day
        self.index = folder / f"{day:%Y}" / f"{day.isoformat()}.index.gz"
        self.data = folder / f"{day:%Y}" / f"{day.isoformat()}.data.gz"

    def batches(self) -> Iterator[tuple[Batch, list[bytes]]]:
        """Each batch with the lines of its messages (see `entry_of`).  Raises BackupError."""
        for _, text in _members(self.index):
            first, *lines = text.splitlines()
            yield _read_batch(first, self.index), lines

    def mend(self) -> dict[str, int]:
        """Cut off what was not completed; returns what is there: message id → newest event.  Only
        the writer.  Raises BackupError when what was completed is damaged."""
        known: dict[str, int] = {}
        end = data_end = 0
        for member_end, text in _members(self.index):
            first, *lines = text.splitlines()
            batch = _read_batch(first, self.index)
            end, data_end = member_end, batch.offset + batch.size
            for line in lines:
                entry = entry_of(line)
                known[entry.id] = entry.newest
        if self.data.exists() and self.data.stat().st_size < data_end:
            raise failures.archive_damaged(str(self.data), "the file is shorter than its index")
        for path, size in ((self.data, data_end), (self.index, end)):
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)
        return known

    def append(self, messages: Sequence[tuple[Entry, Sequence[Part]]]) -> None:
        """Add a batch; when this returns it is on the disk and was read back.  After `mend`.

        Raises BackupError, OSError.
        """
        raw = bytearray()
        lines: list[bytes] = []
        for entry, parts in messages:
            offset = len(raw)
            for part in parts:
                raw += _packed(part)
            placed = {**asdict(entry), "offset": offset, "size": len(raw) - offset}
            lines.append(orjson.dumps(placed))
        new = not self.data.parent.exists()
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        pressed = _pressed(bytes(raw))
        batch = Batch(
            _append(self.data, pressed),
            len(pressed),
            hashlib.sha256(raw).hexdigest(),
            len(messages),
        )
        self.read(batch)
        _append(self.index, _pressed(b"\n".join([orjson.dumps(batch), *lines])))
        sync_folder(self.data.parent)
        if new:
            sync_folder(self.data.parent.parent)

    def read(self, batch: Batch) -> bytes:
        """The batch, not compressed, as it was written.  Raises BackupError."""
        try:
            with self.data.open("rb") as file:
                file.seek(batch.offset)
                raw = zlib.decompress(file.read(batch.size), GZIP)
        except FileNotFoundError:
            raise failures.archive_damaged(str(self.data), "the file is missing") from None
        except zlib.error:
            raise failures.archive_damaged(str(self.data), "a batch cannot be read") from None
        if hashlib.sha256(raw).hexdigest() != batch.sha256:
            raise failures.archive_damaged(str(self.data), "a batch is not as it was written")
        return raw


def days(folder: Path) -> list[DayFile]:
    """The days that are archived below ``folder``, the oldest first."""
    found = [_NAME.match(path.name) for path in folder.glob("[0-9][0-9][0-9][0-9]/*")]
    return [
        DayFile(folder, day) for day in sorted(date.fromisoformat(one[1]) for one in found if one)
    ]


def day_of(at: datetime) -> date:
    """The day (UTC) of whose archive a message is."""
    return at.astimezone(UTC).date()


def entry_of(line: bytes) -> Entry:
    """Of a line of the index."""
    return Entry(**orjson.loads(line))


def parts_of(entry: Entry, batch: bytes) -> list[Part]:
    """The payloads of a message of the batch."""
    stream = BytesIO(batch[entry.offset : entry.offset + entry.size])
    return [
        Part(what, delivery, route, target, channel, state, at, Payload(body, kind, charset))
        for what, delivery, route, target, channel, state, at, kind, charset, body in unpacked(
            stream, (_BODY,)
        )
    ]


def _packed(part: Part) -> bytes:
    payload = part.payload
    row = (
        part.what,
        part.delivery,
        part.route,
        part.target,
        part.channel,
        part.state,
        part.at,
        payload.content_type,
        payload.charset,
        payload.body,
    )
    return packed(row, (_BODY,))


def _pressed(raw: bytes) -> bytes:
    press = zlib.compressobj(_LEVEL, zlib.DEFLATED, GZIP)
    return press.compress(raw) + press.flush()


def _append(path: Path, part: bytes) -> int:
    """Returns where it begins, when it is on the disk."""
    with private(path, exclusive=False) as file:
        offset = file.seek(0, os.SEEK_END)
        file.write(part)
        file.flush()
        os.fsync(file.fileno())
    return offset


def _members(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each whole gzip member: where it ends, and what is in it.  An incomplete one at the end is
    left out: it is being written, or its writer was killed."""
    try:
        with path.open("rb") as file:
            press = zlib.decompressobj(GZIP)
            parts: list[bytes] = []
            while data := file.read(_CHUNK):
                while data:
                    parts.append(press.decompress(data))
                    data = b""
                    if press.eof:
                        data = press.unused_data
                        yield file.tell() - len(data), b"".join(parts)
                        press, parts = zlib.decompressobj(GZIP), []
    except FileNotFoundError:
        return
    except zlib.error:
        raise failures.archive_damaged(str(path), "the index cannot be read") from None


def _read_batch(line: bytes, path: Path) -> Batch:
    try:
        plain: dict[str, Any] = orjson.loads(line)
        return Batch(**plain)
    except (ValueError, TypeError):
        raise failures.archive_damaged(str(path), "the index cannot be read") from None
