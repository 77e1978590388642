"""ASTM records (LIS02-A2, formerly E1394): what analysers send and ask, read like HL7 v2 segments.

Fields count as the standard counts them: field 1 is the record's letter, ``P-6`` the patient's
name, ``R-4`` the value.  The four separators are those of the H record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from engine.contract import Document, FormatError, Payload, Stage
from engine.formats.charsets import UTF_8, Charset, find_charset
from engine.formats.errors import format_error
from engine.formats.hl7v2.segment import Segment
from engine.formats.hl7v2.separators import Separators
from engine.formats.null import Null

CONTENT_TYPE: Final = "text/plain"
_NO_SUBCOMPONENT: Final = "\x1f"  # components have no parts
USUAL: Final = Separators("|", "^", "\\", "&", _NO_SUBCOMPONENT)
_LEVELS: Final = {"H": 0, "P": 1, "Q": 1, "O": 2, "R": 3, "L": 0}
_CONTINUED: Final = re.compile(r"\x17[0-9A-Fa-f]{2}\r?\n?\x02[0-7]")
_FRAME: Final = re.compile(r"^[\x05\x04\x06\x15]*\x02[0-7]?|\x03(?:[0-9A-Fa-f]{2})?$")


class AstmMessage:
    """The records of one message.  Nobody changes it."""

    __slots__ = ("_by_name", "all", "payload", "separators")

    def __init__(self, text: str, payload: Payload, codec: str) -> None:
        """Raises FormatError (ASTM-HEADER)."""
        lines = [_FRAME.sub("", line) for line in re.split(r"[\r\n]+", _CONTINUED.sub("", text))]
        lines = [line for line in lines if line.strip(" \t\x00\x03\x04\x05")]
        header = lines[0] if lines else ""
        marks = header[1:5]
        if header[:1] != "H" or len(set(marks)) != 4 or any(m.isalnum() or m <= " " for m in marks):
            raise format_error("ASTM-HEADER")
        field, repetition, component, escape = list(marks)
        self.separators = Separators(
            field, component, repetition, escape, _NO_SUBCOMPONENT, codec=codec
        )
        self.payload = payload
        self.all: Sequence[Segment] = [self._record(line) for line in lines]
        self._by_name: dict[str, list[Segment]] = {}
        for record in self.all:
            self._by_name.setdefault(record.name, []).append(record)

    @property
    def format(self) -> str:
        return "astm"

    def _record(self, line: str) -> Segment:
        record = Segment(line, self.separators)
        record.fields.insert(1, record.name)  # field 1 is the letter itself
        return record

    def segment(self, name: str) -> Segment | None:
        """The first record of this letter."""
        found = self._by_name.get(name)
        return found[0] if found else None

    def segments(self, name: str) -> Sequence[Segment]:
        """Every record of this letter, in order."""
        return self._by_name.get(name, [])


class AstmFormat:
    """`key` is what the message holds: ``results``, ``query`` or ``orders``.  `control_id` is
    H-3."""

    name: Final = "astm"

    def parse(self, payload: Payload, *, charset: str | None = None) -> AstmMessage:
        """Raises FormatError: ASTM-HEADER, CHARSET-DECODE, CHARSET-UNKNOWN."""
        wanted = _charset(payload.charset or charset, Stage.RECEIVING)
        text = wanted.decode(payload.body).removeprefix("\ufeff")
        own = Payload(payload.body, payload.content_type, wanted.codec)
        return AstmMessage(text, own, wanted.codec)

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        """A message gives its own bytes back, unless another character set is wanted.

        Raises FormatError: ASTM-TREE, CHARSET-UNKNOWN, CHARSET-ENCODE.
        """
        wanted = _charset(charset, Stage.MAPPING)
        if isinstance(tree, AstmMessage):
            own = tree.payload
            if charset is None or wanted.codec == own.charset:
                return own
            text = _charset(own.charset, Stage.MAPPING).decode(own.body)
            return Payload(wanted.encode(text), CONTENT_TYPE, wanted.codec)
        return Payload(wanted.encode(write_records(tree)), CONTENT_TYPE, wanted.codec)

    def key(self, document: Document) -> str:
        if not isinstance(document, AstmMessage):
            return ""
        kinds = (("R", "results"), ("Q", "query"), ("O", "orders"))
        return next((name for letter, name in kinds if document.segment(letter)), "")

    def control_id(self, document: Document) -> str:
        header = document.segment("H") if isinstance(document, AstmMessage) else None
        return "" if header is None else header.field(3)


def _charset(name: str | None, stage: Stage) -> Charset:
    found = UTF_8 if name is None else find_charset(name)
    if found is None:
        raise format_error("CHARSET-UNKNOWN", stage=stage)
    return found


# --- writing ----------------------------------------------------------------------------


def write_records(tree: Any) -> str:
    """A tree as for HL7 v2: records by their letter, groups by longer names, field numbers.

    Field 1, H-2 and the sequence numbers (field 2) are filled in; the L record too.
    Raises FormatError (ASTM-TREE).
    """
    lines: list[str] = []
    counts: dict[str, int] = {}
    ended = False
    for name, record in _records(tree):
        level = _LEVELS.get(name, 9)
        for other in list(counts):
            if _LEVELS.get(other, 9) > level:
                del counts[other]
        counts[name] = counts.get(name, 0) + 1
        fields = ["", name, str(counts[name])]
        for number, value in _numbered(record):
            if number == 1:
                raise _wrong("field 1 is the record's letter")
            fields += [""] * (number + 1 - len(fields))
            fields[number] = _field(value)
        if name == "H":
            fields[2] = f"{USUAL.repetition}{USUAL.component}{USUAL.escape_character}"
        while fields and not fields[-1]:
            fields.pop()
        lines.append("|".join(fields[1:]))
        ended = name == "L"
    if not lines or lines[0][0] != "H":
        raise _wrong("the first record must be H")
    if not ended:
        lines.append("L|1|N")
    return "\r".join([*lines, ""])


def _records(tree: Any) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    if not isinstance(tree, Mapping):
        raise _wrong("a message or group holds records")
    for key, value in tree.items():
        name = str(key)
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if len(name) > 1:
                yield from _records(one)
            elif not isinstance(one, Mapping) or not ("A" <= name <= "Z"):
                raise _wrong("a record has a capital letter and holds field numbers")
            else:
                yield name, one


def _numbered(tree: Mapping[Any, Any]) -> Iterator[tuple[int, Any]]:
    for key, value in tree.items():
        text = str(key)
        if not text.isdecimal() or not 1 <= int(text) <= 999:
            raise _wrong("a key that is not a number from 1 to 999")
        yield int(text), value


def _field(value: Any) -> str:
    if isinstance(value, list):
        return USUAL.repetition.join(_repetition(one) for one in value)
    return _repetition(value)


def _repetition(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    parts: list[str] = []
    for number, part in _numbered(value):
        parts += [""] * (number - len(parts))
        parts[number - 1] = _text(part)
    return USUAL.component.join(parts)


def _text(value: Any) -> str:
    if value is None or isinstance(value, Null):
        return ""
    if isinstance(value, str):
        return USUAL.escape(value)
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 1000:
        return f"{value:f}"
    raise _wrong("a component is a single text")


def _wrong(summary: str) -> FormatError:
    return format_error("ASTM-TREE", summary, stage=Stage.MAPPING)
