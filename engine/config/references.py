"""``${env:NAME}`` and ``${file:/path}``: secrets and other values that are not in the project.

They are filled in on parsed texts, never on a file's raw text, so that no value can change what
the YAML means and every problem has its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.syntax import Diagnostics, Scalar, nearest

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_KINDS: Final = ("env", "file")
_MAX_BYTES: Final = 64 * 1024


def has_reference(text: str) -> bool:
    return any(found.group() != "$${" for found in _REFERENCE.finditer(text))


class References:
    """Fills in references from one environment.  Files are read at most once, those with a relative
    path below ``root``, the project."""

    def __init__(self, environ: Mapping[str, str], root: Path, diagnostics: Diagnostics) -> None:
        self._environ = environ
        self.root = root
        self._diagnostics = diagnostics
        self._files: dict[Path, str | None] = {}

    def fill(self, scalar: Scalar) -> str | None:
        """The text with every reference filled in; None after a diagnostic."""
        if "${" not in scalar.text:
            return scalar.text
        parts: list[str] = []
        end, complete = 0, True
        for found in _REFERENCE.finditer(scalar.text):
            parts.append(scalar.text[end : found.start()])
            end = found.end()
            value = "${" if found.group() == "$${" else self._value(scalar, found)
            complete = complete and value is not None
            parts.append(value or "")
        return "".join([*parts, scalar.text[end:]]) if complete else None

    def refuse_in_key(self, key: Scalar) -> None:
        if has_reference(key.text):
            self._diagnostics.at("C113", key, "a key cannot hold a reference")

    def _value(self, scalar: Scalar, found: re.Match[str]) -> str | None:
        kind, _, name = found.group(1).partition(":")
        place, length = scalar.at(found.start()), len(found.group())
        if kind not in _KINDS or not name or not found.group().endswith("}"):
            self._diagnostics.add(
                "C110",
                place,
                "an unknown reference",
                length=length,
                help="write ${env:NAME} or ${file:/path}, or $${ for the characters ${",
            )
            return None
        if kind == "env":
            value = self._environ.get(name)
            if value is None:
                near = nearest(name, self._environ)
                self._diagnostics.add(
                    "C111",
                    place,
                    f"the environment variable {name} is not set",
                    length=length,
                    help=f"did you mean {near}?" if near else None,
                )
            return value
        path = self.root / name
        if path not in self._files:
            self._files[path] = _read(path)
        value = self._files[path]
        if value is None:
            self._diagnostics.add(
                "C112", place, "this file cannot be read, or is no short text", length=length
            )
        return value


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
        text = body.decode()
    except (OSError, ValueError):  # ValueError: no UTF-8, or a NUL in the path
        return None
    return None if len(body) > _MAX_BYTES else text.removesuffix("\n").removesuffix("\r")
