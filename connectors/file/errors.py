"""The file connector's error codes."""

from __future__ import annotations

import errno
from typing import Final

from engine.contract import ErrorCode, ErrorInfo, Stage

ERRORS: Final = (
    ErrorCode(
        "FILE-FOLDER",
        "the folder is not there or cannot be used",
        "check the path, the mount and the rights of the engine's account",
    ),
    ErrorCode(
        "FILE-LOCKED",
        "another process or channel reads this folder",
        "let one channel read a folder; .carebus.lock there names the process",
    ),
    ErrorCode(
        "FILE-MOVE",
        "a file was taken and cannot be moved away",
        "the folders processed and error must be writable and on the same file system as the "
        "directory; the file is recognised when it is offered again",
    ),
    ErrorCode(
        "FILE-READ",
        "a file cannot be read",
        "check the rights of the file for the engine's account",
    ),
    ErrorCode(
        "FILE-SIZE",
        "a file is larger than the channel takes",
        "raise limits.message, or batch_limit for batches",
    ),
    ErrorCode(
        "FILE-BATCH",
        "messages of a batch were refused",
        "look at the refused messages; the others were taken",
    ),
    ErrorCode("FILE-FULL", "the disk is full", "make room; the message is tried again"),
    ErrorCode(
        "FILE-EXISTS",
        "a file with this name and other content is there",
        "put {content} or {message_id} into the channel's name",
    ),
    ErrorCode(
        "FILE-NAME",
        "the file system does not take this name",
        "shorten the channel's name setting",
    ),
    ErrorCode(
        "FILE-UNSURE",
        "the file was written, and the disk did not confirm it",
        "look at the disk, and whether the file is there, before sending again",
    ),
)
_HELP: Final = {row.code: row.help for row in ERRORS}


def info(
    code: str, summary: str, *, stage: Stage = Stage.SENDING, error: OSError | None = None
) -> ErrorInfo:
    """Names the system's error (ENOSPC) as the peer's code, and never a path."""
    number = error.errno if error is not None else None
    return ErrorInfo(
        code,
        summary,
        stage,
        peer_code=errno.errorcode.get(number) if number else None,
        help=_HELP[code],
    )
