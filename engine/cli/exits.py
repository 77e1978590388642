"""What a command's exit code says; docs/cli.md repeats the table."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FAILED = 1  # findings: lint errors, failed tests, a message that was not accepted
    USAGE = 2  # the command line itself is wrong
    UNREACHABLE = 3  # no engine answers
    REFUSED = 4  # the engine answered, and said no
    NOT_STARTED = 5  # settings, data directory or store: the engine could not start
