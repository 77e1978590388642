"""Whether backups are whole: read every file, without restoring anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract import ErrorInfo
from engine.store.backup import failures, manifest, tables
from engine.store.backup.failures import BackupError
from engine.store.backup.manifest import Manifest
from engine.store.backup.ranges import Ranges
from engine.store.backup.records import FileFacts, read_rows, sha256_of


@dataclass(frozen=True, slots=True)
class Verified:
    """One backup.  ``manifest`` is None where it cannot be read; ``error`` is None for a whole
    one."""

    name: str
    manifest: Manifest | None
    error: ErrorInfo | None


def ids_of(backup: Manifest) -> dict[str, Ranges]:
    """The ids that every table had at the time of the backup.  Raises BackupError."""
    found: dict[str, list[tuple[int, int]]] = {one.name: [] for one in tables.NUMBERED}
    for table, first, last in read_rows(backup.path / backup.files["ids"].name, ()):
        found[table].append((first, last))
    ids = {name: Ranges(runs) for name, runs in found.items()}
    for name, runs in ids.items():
        if runs.count != backup.totals[name]:
            raise failures.damaged(str(backup.path), f"the ids of {name} are not all there")
    return ids


def verify(folder: Path, progress: Callable[[str], None] = lambda name: None) -> list[Verified]:
    """Every backup in ``folder``, or the one that it is with those that it needs, the oldest
    first.  Raises BackupError when there is none."""
    if (folder / manifest.NAME).exists():
        paths = [one.path for one in manifest.chain_of(folder.resolve())]
    else:
        paths = manifest.all_of(folder)
    if not paths:
        raise failures.none_there(str(folder))
    has: dict[str, dict[str, Ranges]] = {}
    found: list[Verified] = []
    for path in paths:
        progress(path.name)
        read: Manifest | None = None
        try:
            read = manifest.read(path)
            has[path.name] = _contained(read)
            _check_chain(read, has)
            found.append(Verified(path.name, read, None))
        except BackupError as error:
            found.append(Verified(path.name, read, error.info))
    return found


def _contained(backup: Manifest) -> dict[str, Ranges]:
    """The ids of the rows that are in its files.  Every byte is read."""
    for facts in backup.files.values():
        _check_file(backup.path / facts.name, facts)
    found: dict[str, Ranges] = {}
    for one in tables.TABLES:
        facts = backup.files[one.name]
        path = backup.path / facts.name
        key = facts.columns.index(one.key)
        numbers, count = Ranges(), 0
        previous: Any = None
        for row in read_rows(path, tables.binary_of(one, facts.columns)):
            count += 1
            if one in tables.NUMBERED:
                if previous is not None and row[key] <= previous:
                    raise failures.damaged(str(path), "the rows are not in their order")
                previous = row[key]
                numbers.add(previous)
        if count != facts.rows:
            raise failures.damaged(str(path), f"{count} rows where {facts.rows} should be")
        found[one.name] = numbers
    return found


def _check_file(path: Path, facts: FileFacts) -> None:
    try:
        digest, size = sha256_of(path)
    except FileNotFoundError:
        raise failures.damaged(str(path), "the file is missing") from None
    except OSError as error:
        raise failures.unusable(str(path), error) from None
    if (digest, size) != (facts.sha256, facts.size):
        raise failures.damaged(str(path), "the file is not as it was written")


def _check_chain(backup: Manifest, has: dict[str, dict[str, Ranges]]) -> None:
    """Every row that was there must be in it, or in one that it continues."""
    chain: Sequence[Manifest] = manifest.chain_of(backup.path)
    for one in chain:
        if one.name not in has:
            raise failures.broken_chain(str(backup.path), f"it continues {one.name}: damaged")
    for name, wanted in ids_of(backup).items():
        there = Ranges()
        for one in chain:
            there = there.union(has[one.name][name])
        if missing := wanted.missing_from(there):
            raise failures.damaged(str(backup.path), f"{missing} rows of {name} are missing")
