"""The tables of the guide as rows, as they are published."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import Final

# The first line groups the columns, the second names them.
HEADERS: Final = 2
_WIDTH: Final = 19
_FILE: Final = re.compile(r"HL7_(?:Data_Type|Segment)_-_FHIR_R4__(?P<map>.+?)__-_")
_CONSTANT: Final = re.compile(r'"(?P<text>[^"]*)"$|#(?P<code>[^#]*)#$')
_CODES: Final = re.compile(r"HL7_Concept_Map__(?P<map>.+?)_-_Sheet")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a datatype or segment map.

    ``source`` is ``CX.4`` or ``PID-3``, and empty where the line has no source.
    """

    source: str
    datatype: str = ""
    repeats: bool = False
    condition: str = ""
    narrative: str = ""
    target: str = ""
    target_type: str = ""
    map: str = ""
    vocabulary: str = ""
    assignment: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """One line of a code map; ``code`` or ``target`` may be empty."""

    code: str
    text: str
    system: str
    target: str
    display: str
    target_system: str


@dataclass(frozen=True, slots=True)
class GuideMap:
    """A table of the guide.  ``name`` as the mapping language needs it: ``CX_Identifier``;
    ``label`` as the guide writes it: ``CX[Identifier]``."""

    name: str
    label: str
    source: str
    """The segment or v2 datatype."""
    target: str
    """The FHIR type or element it begins at, with the guide's flavour: ``Specimen-Source``."""
    rows: tuple[Row, ...] = field(repr=False)


def word(text: str) -> str:
    """A name of the guide with only letters, digits and ``_``."""
    return re.sub(r"\W+", "_", text).strip("_")


def guide_map(file: str, text: str) -> GuideMap:
    """Raises ValueError for a file that is no datatype or segment map."""
    named = _FILE.match(file)
    if named is None:
        raise ValueError(f"{file} is no map of the guide")
    source, _, target = named["map"].partition("_")
    rows = tuple(
        Row(
            source=_source(cells),
            datatype=cells[3],
            repeats=cells[5] == "-1",
            condition=cells[6],
            narrative=cells[8],
            target=cells[9],
            target_type=cells[11],
            map=cells[14],
            vocabulary=cells[15],
            assignment=cells[16],
        )
        for cells in _cells(text)
        if cells[9]
    )
    return GuideMap(word(named["map"]), f"{source}[{target}]", source, target, rows)


def code_map(file: str, text: str) -> tuple[str, tuple[Code, ...]]:
    """The name of a code map and its lines.  Raises ValueError for another file."""
    named = _CODES.match(file)
    if named is None:
        raise ValueError(f"{file} is no code map of the guide")
    # Some maps have a column less before the target, or an empty one behind it.
    headings = next(iter(_cells(text, HEADERS - 1)))
    code = headings.index("Code", 3)
    display = headings.index("Display", code)
    codes = tuple(
        Code(
            cells[0],
            cells[1],
            cells[2],
            cells[code],
            cells[display] or (cells[display - 1] if display > code + 1 else ""),
            cells[display + 1],
        )
        for cells in _cells(text)
        if cells[0] or cells[code]
    )
    return word(named["map"]), codes


def _source(cells: list[str]) -> str:
    """The identifier; where it names only the segment, although the line has a datatype, the sort
    order is the field's number."""
    if re.fullmatch(r"[A-Z][A-Z0-9]{2}", cells[1]) and cells[3] and cells[0].isdecimal():
        return f"{cells[1]}-{cells[0]}"
    return cells[1]


def _cells(text: str, start: int = HEADERS) -> list[list[str]]:
    lines = list(csv.reader(text.removeprefix("\ufeff").splitlines(keepends=True)))[start:]
    return [[" ".join(cell.split()) for cell in line] + [""] * _WIDTH for line in lines]


def has_source(row: Row) -> bool:
    """Whether the row needs a field or component: ``PID`` alone is always there."""
    return bool(re.search(r"\d+$", row.source)) and ("-" in row.source or "." in row.source)


def constant_of(row: Row) -> str | None:
    found = _CONSTANT.match(row.assignment.strip())
    if found is None:
        return None
    return (found["text"] if found["text"] is not None else found["code"]).strip()


def is_constant(row: Row) -> bool:
    return constant_of(row) is not None
