"""Changed copies of tables and ASTM messages: paths such as ``rows[2].name`` and ``R[2]-4.1``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from engine.contract import Payload
from engine.formats import FORMATS, AstmMessage, DelimitedDocument
from engine.formats.delimited import Column, Layout
from engine.formats.delimited.writing import write_rows

_CELL: Final = re.compile(r"(?:\$src\.)?rows\[(\d+)\](?:\.'([^']+)'|\.([^.\[\]']+)|\[(\d+)\])")
_FIELD: Final = re.compile(r"([A-Z])(?:\[(\d+)\])?-(\d{1,3})(?:\[(\d+)\])?(?:\.(\d{1,3}))?")


def edit_table(
    document: DelimitedDocument, path: str, value: str | None, layout: Layout
) -> DelimitedDocument | None:
    """A copy with one cell changed, in a column of the table.  None: there is no such place.

    Raises FormatError.
    """
    found = _CELL.fullmatch(path)
    rows = document.rows(layout)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    if found is None or not 1 <= int(found[1]) <= len(rows):
        return None
    number = int(found[4] or 0)
    name = found[2] or found[3] or (names[number - 1] if 1 <= number <= len(names) else "")
    if name not in names:
        return None
    rows[int(found[1]) - 1][name] = value or ""
    if not layout.fixed:
        layout = replace(layout, columns=tuple(map(Column, names)))
    made = FORMATS["delimited"].parse(Payload(write_rows(rows, layout).encode()))
    assert isinstance(made, DelimitedDocument)  # noqa: S101
    return made


def edit_astm(message: AstmMessage, path: str, value: str | None) -> AstmMessage | None:
    """A copy with one field, repetition or component changed.  None: there is no such place.

    Raises FormatError.
    """
    found = _FIELD.fullmatch(path)
    several = () if found is None else message.segments(found[1])
    if found is None or not 1 <= int(found[2] or 1) <= len(several):
        return None
    wanted, number = several[int(found[2] or 1) - 1], int(found[3])
    if number < (3 if wanted.name == "H" else 2):
        return None
    separators = message.separators
    repetition, component = int(found[4] or 0), int(found[5] or 0)
    levels = [
        (repetition or min(component, 1), separators.repetition),
        (component, separators.component),
    ]
    text = _put(wanted.field(number), levels, separators.escape(value or ""))
    lines = []
    for record in message.all:
        fields = [record.fields[0], *record.fields[2:]]  # field 1 is the letter itself
        if record is wanted:
            fields += [""] * (number - len(fields))
            fields[number - 1] = text
        lines.append(separators.field.join(fields))
    body = "".join(f"{line}\r" for line in lines)
    made = FORMATS["astm"].parse(Payload(body.encode()))
    assert isinstance(made, AstmMessage)  # noqa: S101
    return made


def _put(raw: str, levels: list[tuple[int, str]], text: str) -> str:
    number, separator = levels[0] if levels else (0, "")
    if not number:
        return text
    parts = raw.split(separator)
    parts += [""] * (number - len(parts))
    parts[number - 1] = _put(parts[number - 1], levels[1:], text)
    return separator.join(parts)
