"""Diagnostics for programs: plain JSON, and SARIF 2.1.0 for code review tools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from engine.syntax.code import Severity
from engine.syntax.codes import CODES
from engine.syntax.diagnostics import Diagnostic

_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def to_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """One object a diagnostic; ``help`` is always there, null when there is none."""
    return [
        {
            "code": found.code,
            "severity": str(found.severity),
            "message": found.message,
            "file": found.position.file,
            "line": found.position.line,
            "column": found.position.column,
            "length": found.length,
            "help": found.help,
        }
        for found in diagnostics
    ]


def to_sarif(diagnostics: Iterable[Diagnostic], *, version: str) -> dict[str, Any]:
    """A SARIF log with one run; ``version`` is the engine's.  Columns count Unicode characters."""
    found = list(diagnostics)
    used = sorted({one.code for one in found})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "carebus",
                        "version": version,
                        "rules": [_rule(code) for code in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(one, used.index(one.code)) for one in found],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    row = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": row.title},
        "fullDescription": {"text": row.explanation},
        "defaultConfiguration": {"level": _LEVELS[row.severity]},
    }


def _result(found: Diagnostic, rule: int) -> dict[str, Any]:
    place = found.position
    text = found.message if found.help is None else f"{found.message} ({found.help})"
    return {
        "ruleId": found.code,
        "ruleIndex": rule,
        "level": _LEVELS[found.severity],
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": place.file},
                    "region": {
                        "startLine": place.line,
                        "startColumn": place.column,
                        "endColumn": place.column + found.length,
                    },
                }
            }
        ],
    }
