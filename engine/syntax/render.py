"""Diagnostics for people, in the manner of good compilers::

error[M303]: unknown table 'AdminstrativeSex'
  --> mappings/adt-to-fhir.yaml:22:33
   |
22 |         gender: = PID-8 | table('AdminstrativeSex')
   |                                 ^^^^^^^^^^^^^^^^^^
   = help: did you mean 'AdministrativeSex'?
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from engine.syntax.code import Severity
from engine.syntax.codes import CODES
from engine.syntax.diagnostics import Diagnostic
from engine.syntax.source import lines_of, offset_of

_COLORS: Final = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
_MAX_LINE: Final = 160  # characters of a source line that are shown


def render(diagnostic: Diagnostic, source: str | None, color: bool = False) -> str:
    """Several lines without a final line end.  Without ``source``, no source line is shown."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    tint = "1;" + _COLORS[diagnostic.severity]
    head = paint(f"{diagnostic.severity}[{diagnostic.code}]", tint)
    number = str(diagnostic.position.line)
    gutter = " " * len(number)
    bar = paint("|", "1;34")
    out = [
        f"{head}{paint(': ' + diagnostic.message, '1')}",
        f"{gutter}{paint('-->', '1;34')} {diagnostic.position}",
    ]
    excerpt = _excerpt(diagnostic, source)
    if excerpt is not None:
        line, indent, width = excerpt
        out.append(f"{gutter} {bar}".rstrip())
        out.append(f"{paint(number, '1;34')} {bar} {line}".rstrip())
        out.append(f"{gutter} {bar} {' ' * indent}{paint('^' * width, tint)}")
    if diagnostic.help is not None:
        out.append(f"{gutter} {paint('=', '1;34')} {paint('help', '1')}: {diagnostic.help}")
    return "\n".join(out)


def without_secrets(
    sources: Mapping[str, str], diagnostics: Iterable[Diagnostic]
) -> dict[str, str]:
    """The texts, as long as they were, with everything hidden that a diagnostic calls a secret:
    another diagnostic may show the same line."""
    shown = dict(sources)
    for found in diagnostics:
        place = found.position
        if CODES[found.code].conceals and place.file in shown:
            start = offset_of(shown[place.file], place)
            shown[place.file] = _conceal(shown[place.file], start, start + found.length)
    return shown


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """``2 errors, 1 warning``; ``no problems`` when there is nothing."""
    counts = dict.fromkeys(Severity, 0)
    for found in diagnostics:
        counts[found.severity] += 1
    names = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    said = [
        f"{count} {names[severity]}{'' if count == 1 else 's'}"
        for severity, count in counts.items()
        if count
    ]
    return ", ".join(said) or "no problems"


def width_of(text: str) -> int:
    """Columns on a terminal: Chinese and full-width characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _conceal(text: str, start: int, end: int) -> str:
    return text[:start] + "•" * (end - start) + text[end:]


def _excerpt(diagnostic: Diagnostic, source: str | None) -> tuple[str, int, int] | None:
    """The line to show, the columns before the underline, and the underline's columns."""
    if source is None:
        return None
    lines = lines_of(source)
    if not 1 <= diagnostic.position.line <= len(lines):
        return None
    line = lines[diagnostic.position.line - 1].removeprefix("\ufeff").replace("\t", " ")
    start = min(diagnostic.position.column - 1, len(line))
    end = min(start + diagnostic.length, max(len(line), start + 1))
    if CODES[diagnostic.code].conceals:
        line = _conceal(line, start, end)
    if len(line) > _MAX_LINE:
        first = max(0, min(start - _MAX_LINE // 2, len(line) - _MAX_LINE))
        line = line[first : first + _MAX_LINE]
        start, end = start - first, min(end - first, len(line))
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line, width_of(line[:start]), max(1, width_of(line[start:end]))
