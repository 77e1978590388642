"""The guide's message tables: which segment of which group goes to which resource.

A table is a CSV file with one line for each segment and resource, and lines that begin and end the
groups.  Names are mended here, decisions are made elsewhere.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from engine.guide.rows import HEADERS

_FILE = re.compile(r"FHIR_R4__([A-Z]{3}_[A-Z]\d\d)_")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_GROUP = re.compile(r"\b([A-Z_]+) (begin|end)\b")
_LABEL = re.compile(r"([A-Z][A-Za-z]+)(?:\[([^\]]*)\])?")
_REFERENCE = re.compile(
    r"([A-Z][A-Za-z]+(?:\[[^\]]*\])?)\.([a-z][\w.\-\[\]]*(?:\([^)]*\))?)\s*=\s*"
    r"([A-Z][A-Za-z]+(?:\[[^\]]*\])?)"
)
_MENDED = {"Immunzation": "Immunization"}
"""Resource types as the tables misspell them."""


@dataclass(frozen=True, slots=True)
class Label:
    """One resource of a message: its type, and what tells it from others of that type."""

    type: str
    number: str = ""

    def __str__(self) -> str:
        return f"{self.type}[{self.number}]" if self.number else self.type


@dataclass(frozen=True, slots=True)
class Reference:
    """``origin.path`` refers to ``target``."""

    origin: Label
    path: str
    target: Label


@dataclass(frozen=True, slots=True)
class Row:
    """A segment goes to a resource by a segment map, under a condition."""

    message: str
    groups: tuple[str, ...]
    segment: str
    repeats: bool
    condition: str
    narrative: str
    target: Label
    part: str
    """The element of the target that the map fills, where it is not the resource itself."""
    map: str
    references: tuple[Reference, ...]
    number: int
    """The line in the table, from 1."""

    def __str__(self) -> str:
        return f"{self.message}:{self.number} {'.'.join((*self.groups, self.segment))} {self.map}"


@dataclass(frozen=True, slots=True)
class Table:
    """A message's rows that have a target, and its groups with whether they repeat."""

    message: str
    rows: tuple[Row, ...]
    groups: Mapping[tuple[str, ...], bool]
    segments: Mapping[str, frozenset[tuple[str, ...]]]
    """In which groups a segment stands, whether it has a target or not."""


def label_of(text: str) -> Label:
    """``Patient[1]`` as a label; raises ValueError when it names no resource."""
    found = _LABEL.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r} names no resource")
    return Label(_MENDED.get(found[1], found[1]), found[2] or "")


def references_of(text: str) -> tuple[Reference, ...]:
    return tuple(
        Reference(label_of(found[1]), _path(found[2]), label_of(found[3]))
        for found in _REFERENCE.finditer(text)
        if "(" not in found[2] and found[3] != "Bundle"
    )


def _path(text: str) -> str:
    path = re.sub(r"\[[^\]]*\]", "", text)
    return re.sub(r"\.(reference|id)$", "", path)


def message_table(file: str, text: str) -> Table:
    """A table by its file's name and content.  Raises ValueError for another file."""
    found = _FILE.search(file)
    if found is None:
        raise ValueError(f"{file} is no message table of the guide")
    message, groups, rows = found[1], dict[tuple[str, ...], bool](), list[Row]()
    segments: dict[str, set[tuple[str, ...]]] = {}
    open_: list[str] = []
    lines = csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True))
    for number, cells in enumerate(lines, start=1):
        if number <= HEADERS:
            continue
        line = [" ".join(cell.split()) for cell in cells] + [""] * 14
        group = _GROUP.search(line[3])
        if group is not None and group[2] == "begin":
            open_.append(group[1])
            groups[tuple(open_)] = "{" in line[2]
        elif group is not None:
            open_.pop()
        else:
            segment = _SEGMENT.search(line[2])
            if segment is not None:
                segments.setdefault(segment[0], set()).add(tuple(open_))
                rows += _rows(message, tuple(open_), segment[0], number, line)
    standing = {name: frozenset(places) for name, places in segments.items()}
    return Table(message, tuple(rows), groups, standing)


def _rows(
    message: str, groups: tuple[str, ...], segment: str, number: int, line: list[str]
) -> Iterator[Row]:
    if not line[9] or "=" in line[9]:
        return
    target = label_of(line[9])
    part = _LABEL.sub("", line[9], count=1).lstrip(".")
    row = Row(
        message, groups, segment, "{" in line[2], line[6], line[8], target, part, line[10],
        references_of(line[11]), number,
    )  # fmt: skip
    yield replace(row, references=tuple(_resolved(row, each) for each in row.references))


def _resolved(row: Row, reference: Reference) -> Reference:
    """Tables write ``Account.subject`` for ``Account[1].subject``; the row knows which one."""
    origin = row.target if reference.origin.type == row.target.type else reference.origin
    return replace(reference, origin=origin)
