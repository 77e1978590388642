"""What can be wrong with a backup or an archive, each with its code and its help."""

from __future__ import annotations

from engine.contract import EngineError, ErrorInfo, Stage


class BackupError(EngineError):
    """A backup or an archive cannot be made, read or put back."""


def _error(code: str, summary: str, location: str, help: str | None = None) -> BackupError:
    return BackupError(ErrorInfo(code, summary, Stage.STORING, location=location, help=help))


def busy(folder: str) -> BackupError:
    return _error(
        "BACKUP-BUSY", "another command is writing there", folder, "wait until it has ended"
    )


def none_there(folder: str) -> BackupError:
    return _error(
        "BACKUP-NONE",
        "there is no such backup",
        folder,
        "name the folder that was given to carebus backup, or one backup in it",
    )


def damaged(place: str, what: str) -> BackupError:
    return _error(
        "BACKUP-DAMAGED",
        what,
        place,
        "carebus backup --verify shows which backups are whole; make a full one now",
    )


def broken_chain(place: str, what: str) -> BackupError:
    return _error(
        "BACKUP-CHAIN",
        what,
        place,
        "an incremental backup needs every one back to its full one: bring them back, or restore"
        " an earlier one",
    )


def newer(place: str) -> BackupError:
    return _error(
        "BACKUP-NEWER",
        "the backup was made by a newer engine",
        place,
        "restore it with that engine",
    )


def not_empty(place: str) -> BackupError:
    return _error(
        "BACKUP-NOT-EMPTY",
        "the store to restore into has messages or a running engine",
        place,
        "restore into a new data folder or a new database; nothing is ever overwritten",
    )


def unusable(place: str, error: OSError) -> BackupError:
    return _error(
        "BACKUP-IO",
        f"the folder cannot be used ({error.strerror or 'error'})",
        place,
        "check the path, the disk's room and the rights of the user who runs this",
    )


def archive_damaged(place: str, what: str) -> BackupError:
    return _error(
        "ARCHIVE-DAMAGED",
        what,
        place,
        "bring the file back from a copy; nothing was taken out of the store",
    )


def not_archived(place: str) -> BackupError:
    return _error(
        "ARCHIVE-UNKNOWN",
        "no such message is in the archive",
        place,
        "carebus archive search finds them by patient, control id, channel, type and time",
    )
