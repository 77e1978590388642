"""Segments: where they begin and end in a text, and the fields of one of them."""

from __future__ import annotations

import re
from typing import Final

from engine.contract import Stage
from engine.formats.errors import format_error
from engine.formats.hl7v2.separators import Separators

HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose field 1 is the separator itself."""

BLANK: Final = "".join(map(chr, range(0x21))) + "\x7f\ufeff"
"""What a line may hold without being content: white space, MLLP framing, a byte order mark."""

_ENDS: Final = re.compile(r"(\r\n|\r|\n)")


class Segment:
    """One segment.  ``fields[n]`` is HL7's field n as it is written, escapes and all.

    ``fields[0]`` is the name; in MSH, FHS and BHS ``fields[1]`` is the separator itself.  Read
    ``fields``; change them with `set_field` or ``Hl7Message.set`` only.
    """

    __slots__ = ("edited", "fields", "name", "separators")

    def __init__(self, line: str, separators: Separators) -> None:
        self.separators = separators
        self.fields = fields = line.split(separators.field)
        self.name = name = fields[0]
        if name in HEADERS:
            fields.insert(1, separators.field)
        self.edited = False

    def field(self, number: int) -> str:
        """The text of this field as it is written; empty when the segment is shorter."""
        fields = self.fields
        return fields[number] if number < len(fields) else ""

    def set_field(self, number: int, raw: str) -> None:
        """Put text that is already escaped into a field.  MSH-1 and MSH-2 cannot be changed."""
        if number < 1 or (number < 3 and self.name in HEADERS):
            raise format_error("HL7-PATH", "this field cannot be set", stage=Stage.MAPPING)
        fields = self.fields
        if number >= len(fields):
            fields.extend([""] * (number + 1 - len(fields)))
        fields[number] = raw
        self.edited = True

    def text(self) -> str:
        """The segment as it is written, without its line end."""
        fields = self.fields
        if self.name in HEADERS:
            fields = [fields[0], *fields[2:]]
        return self.separators.field.join(fields)

    def __repr__(self) -> str:
        return f"Segment({self.name!r}, {len(self.fields) - 1} fields)"


def split_lines(text: str, separator: str) -> tuple[list[str], list[str]]:
    """Segments, and what stands after each of them; joined they are the text again.

    Ends are CR, LF or CR LF, with the blank lines and the indentation that follow.  A line that is
    no segment belongs to the one before it, with the line break between them.
    """
    pieces = _ENDS.split(text)
    lines: list[str] = []
    ends: list[str] = []
    content = [pieces[0]]
    tail: list[str] = []
    for line, end in zip(pieces[2::2], pieces[1::2], strict=True):
        tail.append(end)
        indented = line.lstrip(" \t") if line[:1] in (" ", "\t") else ""
        if indented[3:4] == separator and is_segment(indented, separator):
            tail.append(line[: len(line) - len(indented)])
            line = indented
        if is_segment(line, separator):
            lines.append("".join(content))
            ends.append("".join(tail))
            content = [line]
            tail = []
        elif line.strip(BLANK):
            content += tail
            content.append(line)
            tail = []
        else:
            tail.append(line)
    lines.append("".join(content))
    ends.append("".join(tail))
    return lines, ends


def is_segment(line: str, separator: str) -> bool:
    """Three capital letters or digits, then a separator or nothing."""
    name = line[:3]
    return (
        line[3:4] in (separator, "")
        and len(name) == 3
        and name.isascii()
        and name.isupper()
        and name.isalnum()
    )
