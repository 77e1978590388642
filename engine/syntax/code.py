"""One row of the table of diagnostic codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An ERROR refuses the configuration; a WARNING and an INFO do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Code:
    """``explanation`` is what ``carebus describe CODE`` prints: why, and what to write instead."""

    code: str
    severity: Severity
    title: str
    explanation: str
    conceals: bool = False  # the underlined text is a secret: it is not printed


def table(rows: Iterable[Code]) -> dict[str, Code]:
    """Raises ValueError when a code is given twice: a code means one thing for ever."""
    codes: dict[str, Code] = {}
    for row in rows:
        if row.code in codes:
            raise ValueError(f"diagnostic code {row.code} is defined twice")
        codes[row.code] = row
    return codes
