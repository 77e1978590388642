"""What a backup says about itself: the manifest, the last file that is written of it.

A backup is a folder below the one that is given to ``carebus backup``; its name is the time (UTC)
and the kind, so that names sort as the backups followed each other.  A folder without a readable
manifest is no backup.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson

from engine.store.backup import failures
from engine.store.backup.records import FileFacts, private, sync_folder

FORMAT: Final = 1
"""Of the folder; a reader refuses a higher one."""
NAME: Final = "manifest.json"
_BACKUP: Final = re.compile(r"^\d{8}T\d{6}\.\d{3}Z-(full|incremental)$")
PART: Final = ".part-"
GONE: Final = ".gone-"


class Kind(StrEnum):
    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class Manifest:
    """``since`` and ``upto`` are the ids between which this backup has what is new; ``totals`` what
    the store had at that moment; ``counters`` the highest ids ever given."""

    format: int
    kind: Kind
    made_at: str
    ended_at: str
    base: str | None
    """The name of the backup that this one continues."""
    base_sha256: str | None
    """Of that one's manifest: another backup of the same name is not taken for it."""
    schema: str
    database: str
    configuration: str
    """The version of the configuration that the newest message was routed with."""
    since: Mapping[str, int]
    upto: Mapping[str, int]
    counters: Mapping[str, int]
    totals: Mapping[str, int]
    files: Mapping[str, FileFacts]
    path: Path = Path()
    """Where it was read from."""
    sha256: str = ""
    """Of the manifest itself."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.made_at)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files.values())


def name_of(at: datetime, kind: Kind) -> str:
    """The folder's name."""
    at = at.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z-{kind}"


def write(manifest: Manifest, part: Path, final: Path) -> Manifest:
    """Complete the backup in ``part``: from now on it is the one named ``final``."""
    plain = asdict(manifest)
    del plain["path"], plain["sha256"]
    text = orjson.dumps(plain, option=orjson.OPT_INDENT_2) + b"\n"
    with private(part / NAME) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(part)
    part.rename(final)
    sync_folder(final.parent)
    return replace(manifest, path=final, sha256=hashlib.sha256(text).hexdigest())


def read(folder: Path) -> Manifest:
    """Raises BackupError: none there, damaged, of a newer engine."""
    path = folder / NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise failures.none_there(str(folder)) from None
    except OSError as error:
        raise failures.unusable(str(path), error) from None
    try:
        plain: dict[str, Any] = orjson.loads(text)
        if int(plain["format"]) > FORMAT:
            raise failures.newer(str(folder))
        files = {
            table: FileFacts(**{**facts, "columns": tuple(facts["columns"])})
            for table, facts in plain["files"].items()
        }
        given = {**plain, "kind": Kind(plain["kind"]), "files": files}
        return Manifest(**given, path=folder, sha256=hashlib.sha256(text).hexdigest())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise failures.damaged(str(path), "the manifest cannot be read") from None


def all_of(folder: Path) -> list[Path]:
    """The folders of the complete backups below ``folder``, the oldest first."""
    if not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if _BACKUP.match(one.name))


def chosen(folder: Path) -> Path:
    """The backup that ``folder`` is, or the newest one in it.  Raises BackupError."""
    if _BACKUP.match(folder.resolve().name) and (folder / NAME).exists():
        return folder.resolve()
    found = all_of(folder)
    if not found:
        raise failures.none_there(str(folder))
    return found[-1]


def chain_of(folder: Path) -> list[Manifest]:
    """The backup ``folder`` and every one before it that it needs: the full one first.  Raises
    BackupError where one is missing or another."""
    newest = read(folder)
    chain = [newest]
    while chain[-1].base is not None:
        needing = chain[-1]
        path = folder.parent / str(needing.base)
        if not (path / NAME).exists():
            raise failures.broken_chain(str(needing.path), f"it continues {needing.base}: missing")
        found = read(path)
        if found.sha256 != needing.base_sha256:
            raise failures.broken_chain(str(path), f"it is not the one that {needing.name} means")
        chain.append(found)
    if chain[-1].kind is not Kind.FULL:
        raise failures.broken_chain(str(chain[-1].path), "the chain does not begin with a full one")
    return chain[::-1]


def forget_old(folder: Path, keep: int) -> Sequence[str]:
    """Delete what is older than the ``keep`` newest full backups; returns the names."""
    found = all_of(folder)
    full = [path for path in found if path.name.endswith(f"-{Kind.FULL}")]
    if len(full) <= keep:
        return ()
    oldest_kept = full[-keep]
    going = [path for path in found if path.name < oldest_kept.name]
    # The newest first: what a kill leaves is whole chains, shorter ones.
    for path in reversed(going):
        gone = path.with_name(f"{GONE}{path.name}")
        path.rename(gone)
        sync_folder(folder)
        shutil.rmtree(gone)
    return [path.name for path in going]


def sweep(folder: Path) -> None:
    """Delete what interrupted commands left.  Only while nobody else writes there."""
    for path in folder.iterdir():
        if path.name.startswith((PART, GONE)):
            shutil.rmtree(path)
