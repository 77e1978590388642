"""What of a message was not read, as a message of its own; and such a rest put back.

The rest has every segment of the message in its order, each with only those fields, components and
sub-components that nobody read: ``MSH|^~\\&``, ``PID|1``, ``PV1|||||||^^^^^^^SRC``, ``NTE|1||x``.
A segment of which everything was read is its bare name, so that the third OBX stays the third.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from engine.formats.hl7v2.message import Hl7Message
from engine.formats.hl7v2.segment import HEADERS

EVERYTHING: Final = 0
"""In place of a component's or sub-component's number: all of them."""

Leaves = set[tuple[int, int]]
"""Component and sub-component numbers."""


@dataclass(slots=True)
class FieldReads:
    """What is read of a field: of its first repetition, and of every one."""

    first: Leaves = field(default_factory=set)
    every: Leaves = field(default_factory=set)


@dataclass(slots=True)
class SegmentReads:
    """By field number; ``whole`` when nothing of the segment is left."""

    whole: bool = False
    fields: dict[int, FieldReads] = field(default_factory=dict)


def rest_of(message: Hl7Message, reads: Mapping[str, SegmentReads]) -> str | None:
    """The rest, its segments ended by CR; None when nothing is left, or when the message has other
    delimiters than ``|^~\\&``."""
    if not message.separators.usual:
        return None
    known: dict[str, dict[tuple[int, str], str]] = {}  # fields repeat in every OBX of a message
    lines = [
        _left(segment.fields, reads.get(segment.name), known.setdefault(segment.name, {}))
        for segment in message.all
    ]
    if all("|" not in line.removeprefix("MSH|^~\\&") for line in lines):
        return None
    return "\r".join(lines) + "\r"


def _left(fields: list[str], reads: SegmentReads | None, known: dict[tuple[int, str], str]) -> str:
    name = fields[0]
    begin = 3 if name in HEADERS else 1
    kept = [name, "^~\\&"] if name in HEADERS else [name]
    if reads is None:
        kept += fields[begin:]
    elif not reads.whole:
        wanted = reads.fields
        for number, raw in enumerate(fields[begin:], start=begin):
            if not raw or number not in wanted:
                kept.append(raw)
                continue
            left = known.get((number, raw))
            if left is None:
                left = known[number, raw] = _left_of_field(raw, wanted[number])
            kept.append(left)
    return "|".join(kept).rstrip("|")


def _left_of_field(raw: str, reads: FieldReads) -> str:
    of_first = reads.first | reads.every if reads.every else reads.first
    if "~" not in raw:
        return _left_of_repetition(raw, of_first)
    first, *others = raw.split("~")
    kept = [_left_of_repetition(other, reads.every) for other in others]
    return "~".join([_left_of_repetition(first, of_first), *kept]).rstrip("~")


def _left_of_repetition(raw: str, leaves: Leaves) -> str:
    if (EVERYTHING, EVERYTHING) in leaves:
        return ""
    kept = []
    for number, component in enumerate(raw.split("^"), start=1):
        if not component or (number, EVERYTHING) in leaves:
            kept.append("")
        elif "&" in component:
            parts = enumerate(component.split("&"), start=1)
            left = ["" if (number, n) in leaves else part for n, part in parts]
            kept.append("&".join(left).rstrip("&"))
        else:
            kept.append("" if (number, 1) in leaves else component)
    return "^".join(kept).rstrip("^")


# --- and back ---------------------------------------------------------------------------------


class Rest(str):
    """A rest to put back, and the segments that the mapping writes itself."""

    __slots__ = ("written",)

    def __new__(cls, text: str, written: frozenset[str]) -> Self:
        made = super().__new__(cls, text)
        made.written = written
        return made

    written: frozenset[str]


Segments = list[tuple[str, list[str]]]
"""Names, and fields as `Segment.fields` has them."""


def put_back(segments: Segments, rest: Rest) -> Segments:
    """The segments with what the rest has where they have nothing.

    The n-th segment of a name takes from the n-th of the rest.  What the rest has of segments that
    the mapping never writes goes behind the segment that stood
    before; of those that it writes and has not, nothing: they were left out on purpose.
    """
    found: dict[str, list[int]] = {}
    for index, (name, _) in enumerate(segments):
        found.setdefault(name, []).append(index)
    behind: dict[int, Segments] = {}
    counts: dict[str, int] = {}
    last = 0
    for line in rest.split("\r"):
        fields = line.split("|")
        name = fields[0]
        if name in HEADERS:
            fields.insert(1, "|")
        number = counts[name] = counts.get(name, -1) + 1
        places = found.get(name, [])
        if number < len(places):
            last = places[number]
            _fill(segments[last][1], fields, 3 if name in HEADERS else 1)
        elif len(fields) > 1 and name not in rest.written and name not in HEADERS:
            behind.setdefault(last, []).append((name, fields))
    if not behind:
        return segments
    return [one for index, own in enumerate(segments) for one in (own, *behind.get(index, ()))]


def _fill(own: list[str], rest: list[str], begin: int) -> None:
    own += [""] * (len(rest) - len(own))
    for number in range(begin, len(rest)):
        if rest[number]:
            own[number] = _joined(own[number], rest[number], "~^&")


def _joined(own: str, rest: str, separators: str) -> str:
    """The two texts, leaf by leaf; what ``own`` has stays."""
    if not rest:
        return own
    if not own:
        return rest
    if not separators:
        return own
    separator, below = separators[0], separators[1:]
    if separator not in own and separator not in rest:
        return _joined(own, rest, below)
    ours, theirs = own.split(separator), rest.split(separator)
    length = max(len(ours), len(theirs))
    ours += [""] * (length - len(ours))
    theirs += [""] * (length - len(theirs))
    return separator.join(_joined(a, b, below) for a, b in zip(ours, theirs, strict=True))
