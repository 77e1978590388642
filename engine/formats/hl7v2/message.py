"""A lazy view of one HL7 v2 message: nothing is split before somebody looks at it.

`parse` decodes the bytes and splits the MSH segment; the others are split one by one when they
are first asked for.  A message that nobody edited gives its bytes back exactly, with its byte
order mark, line ends and trailing garbage; an edited one changes only the segments that were
edited.  A view belongs to one task: it is not safe to edit it from two.

Tolerated, since hospitals send it (`separators_of` and `decoding` have more): LF, CR LF and mixed
line ends, blank lines, left-over MLLP framing, segments of any three-character name.  A line
that is not a segment continues the field before it: somebody sent a line break unescaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from engine.formats.charsets import Charset
from engine.formats.errors import format_error
from engine.formats.hl7v2.decoding import channel_charset, decode, header_charset
from engine.formats.hl7v2.element import component, repetition, subcomponent
from engine.formats.hl7v2.path import parse_path
from engine.formats.hl7v2.segment import BLANK, HEADERS, Segment, is_segment, split_lines
from engine.formats.hl7v2.separators import separators_of
from engine.formats.null import NULL_TEXT, Null


class Hl7Message:
    """One message, made by `parse`.  ``header`` is its MSH segment."""

    __slots__ = (
        "_body",
        "_ends",
        "_first",
        "_line",
        "_lines",
        "_numbers",
        "_prefix",
        "_segments",
        "_text",
        "charset",
        "header",
        "separators",
    )

    format: Final = "hl7v2"

    def __init__(
        self,
        body: bytes,
        text: str,
        prefix: tuple[bytes, str],
        charset: Charset,
        header: Segment,
        line: str,
    ) -> None:
        self._body = body
        self._text = text
        self._line = line
        self._prefix = prefix
        self.charset = charset
        self.header = header
        self.separators = header.separators
        self._lines: list[str] | None = None
        self._ends: list[str] | None = None  # None: every line ends with CR
        self._numbers: dict[str, list[int]] = {}
        self._segments: dict[int, Segment] = {0: header}
        self._first: dict[str, Segment | None] = {"MSH": header}

    # --- segments ---------------------------------------------------------------------------

    def segment(self, name: str) -> Segment | None:
        """The first segment of this name."""
        try:
            return self._first[name]
        except KeyError:
            pass
        if self._lines is None:
            self._split()
        numbers = self._numbers.get(name)
        found = self._segment(numbers[0]) if numbers else None
        self._first[name] = found
        return found

    def segments(self, name: str) -> Sequence[Segment]:
        """Every segment of this name, in order."""
        if self._lines is None:
            self._split()
        return [self._segment(number) for number in self._numbers.get(name, ())]

    @property
    def all(self) -> Sequence[Segment]:
        """Every segment, in order."""
        known = self._segments
        return [
            known.get(number) or self._segment(number)
            for number, line in enumerate(self._split())
            if line
        ]

    def outline(self) -> tuple[list[str], list[int]]:
        """The names of all segments, in order, and for each what `nth` takes; nothing is split
        into fields."""
        lines = self._split()
        numbers = [number for number, line in enumerate(lines) if line]
        return [lines[number][:3] for number in numbers], numbers

    def nth(self, number: int) -> Segment:
        """The segment of a number that `outline` gave."""
        return self._segments.get(number) or self._segment(number)

    def _segment(self, number: int) -> Segment:
        segment = self._segments.get(number)
        if segment is None:
            segment = self._segments[number] = Segment(self._split()[number], self.separators)
        return segment

    def _split(self) -> list[str]:
        """The segments' lines, split once; the usual message needs no tolerance."""
        if self._lines is not None:
            return self._lines
        text = self._text
        separator = self.separators.field
        numbers: dict[str, list[int]] = {}
        lines = self._lines = text.split("\r")
        if "\n" in text:
            return self._split_tolerantly()
        for number, line in enumerate(lines):
            name = line[:3]
            if line[3:4] == separator and name.isupper() and name.isalnum() and name.isascii():
                if name in numbers:
                    numbers[name].append(number)
                else:
                    numbers[name] = [number]
            elif line:
                return self._split_tolerantly()
        self._numbers = numbers
        return lines

    def _split_tolerantly(self) -> list[str]:
        self._lines, self._ends = split_lines(self._text, self.separators.field)
        self._number()
        return self._lines

    def _number(self) -> None:
        numbers: dict[str, list[int]] = {}
        for number, line in enumerate(self._lines or ()):
            if line:
                numbers.setdefault(line[:3], []).append(number)
        self._numbers = numbers

    # --- what everybody asks ------------------------------------------------------------------

    @property
    def type(self) -> str:
        """Message type and trigger event, ``ADT^A01``, whatever the sender's separators are.

        Without an event in MSH-9 the one of EVN-1 counts (HL7 2.1 and 2.2); empty when MSH-9 is.
        """
        parts = self.header.field(9).split(self.separators.component, 2)
        name = parts[0].strip()
        event = parts[1].strip() if len(parts) > 1 else ""
        if name and not event:
            evn = self.segment("EVN")
            event = evn.field(1).strip() if evn is not None else ""
        return f"{name}^{event}" if event else name

    @property
    def control_id(self) -> str:
        """MSH-10 as text; empty when there is none."""
        return self.separators.unescape(self.header.field(10))

    @property
    def version(self) -> str:
        """MSH-12.1 as text, which may be nonsense; empty when there is none."""
        return component(self.header.field(12), 1, self.separators.component).strip()

    @property
    def line_end(self) -> str:
        """What ends the MSH segment; CR when the message has no other line."""
        end = len(self._line)
        return "\r\n" if self._text.startswith("\r\n", end) else self._text[end : end + 1] or "\r"

    @property
    def mark(self) -> bytes:
        """The byte order mark before the message, usually none."""
        return self._prefix[0]

    def get(self, path: str) -> str | None:
        """The text at ``PID-5.1``, ``OBX[2]-5`` or ``PID-3[2].4.1``, unescaped; None when empty.

        A path that stops early gives its first leaf: ``PID-3`` is ``PID-3[1].1.1``.  Explicit null
        is the text ``""``.  Raises FormatError (HL7-PATH) for a path that is none.
        """
        at = parse_path(path)
        if at.occurrence == 1:
            segment = self.segment(at.segment)
        else:
            several = self.segments(at.segment)
            segment = several[at.occurrence - 1] if at.occurrence <= len(several) else None
        if segment is None:
            return None
        raw = segment.field(at.field)
        if at.field < 3 and segment.name in HEADERS:
            return raw or None
        separators = self.separators
        raw = repetition(raw, at.repetition or 1, separators.repetition)
        raw = component(raw, at.component or 1, separators.component)
        raw = subcomponent(raw, at.subcomponent or 1, separators.subcomponent)
        return separators.unescape(raw) or None

    # --- editing ------------------------------------------------------------------------------

    def set(self, path: str, value: str | Null | None) -> None:
        """Put text, escaped, at a path; what the path leaves open is replaced as a whole.

        ``PID-5`` replaces all repetitions, ``PID-5.1`` the first component of the first.  None
        empties it, NULL writes HL7's explicit null.  A segment that is missing is added at the
        end.  Raises FormatError (HL7-PATH).
        """
        at = parse_path(path)
        several = self.segments(at.segment)
        if at.occurrence <= len(several):
            segment = several[at.occurrence - 1]
        elif at.occurrence == len(several) + 1:
            segment = self._append(at.segment)
        else:
            raise format_error("HL7-PATH", "there are fewer segments of this name")
        separators = self.separators
        raw = NULL_TEXT if isinstance(value, Null) else separators.escape(value or "")
        levels = (
            (at.repetition or (1 if at.component else None), separators.repetition),
            (at.component, separators.component),
            (at.subcomponent, separators.subcomponent),
        )
        segment.set_field(at.field, _replace(segment.field(at.field), levels, raw))

    def _append(self, name: str) -> Segment:
        lines = self._split()
        while len(lines) > 1 and not lines[-1]:
            lines.pop()
            if self._ends is not None:
                self._ends.pop()
        lines.append(name)
        if self._ends is not None:
            end = self.line_end
            self._ends[-1] = self._ends[-1] or end
            self._ends.append(end)
        else:
            lines.append("")
        self._first.pop(name, None)
        self._number()
        segment = self._segment(self._numbers[name][-1])
        segment.edited = True
        return segment

    def to_bytes(self) -> bytes:
        """The bytes it was parsed from, or with its edits, in the same character set.

        Raises FormatError (CHARSET-ENCODE) when an edit does not exist in the message's set.
        """
        if not any(segment.edited for segment in self._segments.values()):
            return self._body
        mark, before = self._prefix
        return mark + self.charset.encode(before + self._edited())

    def recoded(self, charset: Charset) -> bytes:
        """The message in another character set, with MSH-18 saying so.

        Raises FormatError (CHARSET-ENCODE).
        """
        header = Segment(self.header.text(), self.separators)
        header.set_field(18, self.separators.escape(charset.name))
        return charset.encode(self._edited(header))

    def _edited(self, header: Segment | None = None) -> str:
        lines = list(self._split())
        for number, segment in self._segments.items():
            if segment.edited:
                lines[number] = segment.text()
        if header is not None:
            lines[0] = header.text()
        if self._ends is None:
            return "\r".join(lines)
        return "".join(line + end for line, end in zip(lines, self._ends, strict=True))

    def __repr__(self) -> str:
        return f"Hl7Message({self.type!r}, {len(self._body)} bytes)"


def _replace(raw: str, levels: Sequence[tuple[int | None, str]], text: str) -> str:
    number, separator = levels[0] if levels else (None, "")
    if number is None:
        return text
    parts = raw.split(separator)
    parts.extend([""] * (number - len(parts)))
    parts[number - 1] = _replace(parts[number - 1], levels[1:], text)
    return separator.join(parts)


def parse(body: bytes, charset: str | None = None) -> Hl7Message:
    """The view of one message; ``charset`` is the channel's, used when MSH-18 declares none.

    Raises FormatError: HL7-HEADER, HL7-SEPARATOR, HL7-SEVERAL, HL7-BATCH, CHARSET-DECODE or
    CHARSET-UNKNOWN.  Nothing else, for any bytes, in time linear in their number.
    """
    found: Charset | None = None
    mark = b""
    before = ""
    if body.startswith(b"MSH") and body.isascii() and b"\x1b" not in body:
        text = body.decode("ascii")
    else:
        text, found, mark = decode(body, charset)
        start = text.find("MSH")
        before = text[:start] if start > 0 else ""
        if start < 0 or before.strip(BLANK):
            headed = text.lstrip(BLANK)[:3]
            raise format_error("HL7-BATCH" if headed in ("FHS", "BHS") else "HL7-HEADER")
        text = text[start:]
    separator = text[3:4]
    again = f"MSH{separator}"
    if text.find(again, 4) > 0 and any(
        line.startswith(again) for line in split_lines(text, separator)[0][1:]
    ):
        raise format_error("HL7-SEVERAL")
    end = text.find("\r")
    if end < 0 or "\n" in text[:end]:
        end = text.find("\n")
    line = text if end < 0 else text[:end]
    begin = end + 2 if text[end : end + 2] == "\r\n" else end + 1
    following = text[begin : begin + 4] if end >= 0 else ""
    if following and not is_segment(following, separator):
        line = split_lines(text, separator)[0][0]
    stop = line.find(separator, 4)
    encoding = line[4 : stop if 0 < stop < 12 else 12]
    separators = separators_of(separator, encoding, "utf-8")
    header = Segment(line, separators)
    if found is None:
        declared = header.field(18)
        if declared:
            found = header_charset(declared[:128], separators.repetition)
        if found is None:
            found = channel_charset(charset)
    if found.codec != "utf-8":
        header.separators = separators_of(separator, encoding, found.codec)
    return Hl7Message(body, text, (mark, before), found, header, line)
