"""Rows in compressed files, and back, one at a time.

A row is a line of JSON, an array with the values of the table's columns; where a value is binary it
has the number of bytes instead, which follow the line.  The file is gzip: whoever has it in twenty
years reads it with any tool and no library of ours, and compressing is not what a backup waits
for (see docs/operations.md for the figures).
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from engine.store.backup import failures

Values = Sequence[Any]

GZIP: Final = 31  # zlib: deflate in a gzip frame, the largest window
LEVEL: Final = 1
"""Four times as fast as 6, and HL7 becomes a tenth larger."""
_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the manifest says about one file.  ``raw`` is its size before compressing."""

    name: str
    rows: int
    size: int
    raw: int
    sha256: str
    columns: tuple[str, ...]


def packed(values: Values, binary: Sequence[int]) -> bytes:
    """One row.  ``binary``: the places of the columns that hold bytes."""
    if not binary:
        return orjson.dumps(values) + b"\n"
    line = list(values)
    bodies = [values[place] for place in binary]
    for place, body in zip(binary, bodies, strict=True):
        line[place] = None if body is None else len(body)
    return b"".join([orjson.dumps(line), b"\n", *(body for body in bodies if body is not None)])


def unpacked(stream: BinaryIO, binary: Sequence[int]) -> Iterator[list[Any]]:
    """The rows of a stream of `packed` ones.  Raises ValueError or EOFError for anything else."""
    while line := stream.readline():
        values: list[Any] = orjson.loads(line)
        for place in binary:
            size = values[place]
            if size is not None:
                values[place] = body = stream.read(size)
                if len(body) != size:
                    raise EOFError("a row's bytes end too early")
        yield values


def private(path: Path, *, exclusive: bool = True) -> BinaryIO:
    """A new file that only its owner may read, open for writing."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_EXCL if exclusive else os.O_APPEND)
    return os.fdopen(os.open(path, flags | os.O_CLOEXEC, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_rows(
    path: Path, columns: Sequence[str], binary: Sequence[int], rows: Iterable[Values]
) -> FileFacts:
    """Write all of ``rows`` to a new file and wait for the disk.  Memory: one row and a chunk."""
    count = raw = size = 0
    digest = hashlib.sha256()
    press = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    buffer = bytearray()
    with private(path) as file:

        def write(part: bytes) -> None:
            nonlocal size
            digest.update(part)
            size += len(part)
            file.write(part)

        for row in rows:
            buffer += packed(row, binary)
            count += 1
            if len(buffer) >= _CHUNK:
                raw += len(buffer)
                write(press.compress(buffer))
                buffer.clear()
        raw += len(buffer)
        write(press.compress(buffer) + press.flush())
        file.flush()
        os.fsync(file.fileno())
    return FileFacts(path.name, count, size, raw, digest.hexdigest(), tuple(columns))


def read_rows(path: Path, binary: Sequence[int]) -> Iterator[list[Any]]:
    """The rows of a file that `write_rows` made.  Raises BackupError when it is damaged."""
    try:
        with path.open("rb") as file, GzipFile(fileobj=file, mode="rb") as unzipped:
            yield from unpacked(cast("BinaryIO", BufferedReader(unzipped, _CHUNK)), binary)
    except (BadGzipFile, EOFError, ValueError, zlib.error):
        raise failures.damaged(str(path), "the file cannot be read") from None
    except OSError as error:
        raise failures.unusable(str(path), error) from None


def sha256_of(path: Path) -> tuple[str, int]:
    """The digest and the size of a file.  Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()
