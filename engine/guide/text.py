"""YAML as a person would write it: block style, and for each line the row it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

# What a plain scalar may be; words that YAML 1.1 takes for booleans, or text for numbers, may not.
_PLAIN: Final = re.compile(r"[A-Za-z=$一-鿿](?:[^\n]*\S)?")
_TRAPS: Final = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_WIDTH: Final = 100


@dataclass(slots=True)
class Obj:
    entries: list[tuple[str, Out, str]] = field(default_factory=list)
    """Key, value, and the note behind it."""

    def add(self, key: str, value: Out, note: str = "") -> None:
        self.entries.append((key, value, note))


@dataclass(slots=True)
class Lst:
    items: list[tuple[Out, str]] = field(default_factory=list)


Out = str | Obj | Lst


def scalar(text: str) -> str:
    """Quoted where YAML would take it for something else."""
    plain = (
        _PLAIN.fullmatch(text) is not None
        and text.lower() not in _TRAPS
        and ": " not in text
        and " #" not in text
        and not text.endswith(":")
    )
    if plain or (text in ("true", "false") and not text[0].isupper()):
        return text
    return "'" + text.replace("'", "''") + "'"


def key(text: str) -> str:
    return (
        text
        if re.fullmatch(r"\$?[A-Za-z_][\w.-]*", text) and text.lower() not in _TRAPS
        else ("'" + text.replace("'", "''") + "'")
    )


def lines(value: Out, indent: int = 0) -> Iterator[str]:
    """The lines of an object or list, each with its note as a comment."""
    pad = " " * indent
    match value:
        case Obj(entries):
            for name, below, note in entries:
                yield from _entry(f"{pad}{key(name)}:", below, note, indent + 2)
        case Lst(items):
            for item, note in items:
                yield from _item(pad, item, note, indent)
        case str():
            yield f"{pad}{scalar(value)}"


def _entry(head: str, below: Out, note: str, indent: int) -> Iterator[str]:
    if isinstance(below, str):
        yield noted(f"{head} {scalar(below)}", note)
    else:
        yield noted(head, note)
        yield from lines(below, indent)


def _item(pad: str, item: Out, note: str, indent: int) -> Iterator[str]:
    if isinstance(item, str):
        yield noted(f"{pad}- {scalar(item)}", note)
        return
    inner = list(lines(item, indent + 2))
    first = inner[0][indent + 2 :]
    yield noted(f"{pad}- {first}", note if "  # " not in first else "")
    yield from inner[1:]


def noted(line: str, note: str) -> str:
    return f"{line}  # {note}" if note else line


def wrapped(text: str, indent: int) -> Iterator[str]:
    """A comment over several lines."""
    line = ""
    for word in text.split():
        if line and indent + len(line) + len(word) + 3 > _WIDTH:
            yield f"{' ' * indent}# {line}"
            line = ""
        line = f"{line} {word}".strip()
    if line:
        yield f"{' ' * indent}# {line}"
