"""``# carebus: allow C134 REASON``: a warning that somebody looked at.

The comment stands on the line of the warning or on the line above it, and must give a reason.
Errors cannot be allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from engine.syntax import Diagnostic, Severity
from engine.syntax.source import lines_of

_ALLOWANCE: Final = re.compile(r"(?:^|\s)#\s*carebus: allow ([A-Z][0-9]{3})\s+\S")


def without_allowed(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    allowed = {
        (file, number, found.group(1))
        for file, text in sources.items()
        if "# carebus: allow" in text
        for number, line in enumerate(lines_of(text), start=1)
        for found in _ALLOWANCE.finditer(line)
    }
    return tuple(
        one
        for one in diagnostics
        if one.severity is Severity.ERROR
        or not any(
            (one.position.file, line, one.code) in allowed
            for line in (one.position.line, one.position.line - 1)
        )
    )
