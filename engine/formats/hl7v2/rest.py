"""What of a message was not read, as a message of its own; and such a rest put back.

The rest has every segment of the message in its order, each with only those fields, components and
sub-components that nobody read: ``MSH|^~\\&``, ``PID|1``, ``PV1|||||||^^^^^^^SRC``, ``NTE|1||x``.
A segment of which everything was read is its bare name, so that the third OBX stays the third.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import getitem
from typing import Final, Self, TypeAlias

from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.hl7v2.message import Hl7Message
from engine.formats.hl7v2.segment import HEADERS, Segment
from engine.formats.hl7v2.structure_table import groups_of

EVERYTHING: Final = 0
"""In place of a component's or sub-component's number: all of them."""

_MOST: Final = 100
"""More components than any datatype has."""

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


@dataclass(frozen=True, slots=True)
class Instances:
    """Segments of a name: all of the message, or those that can be seen from a group of this name
    (`SegmentGroup`); ``first``: only the first of them."""

    name: str
    group: str = ""
    first: bool = False


Reads: TypeAlias = Mapping[Instances, SegmentReads]
_NONE: Final[frozenset[Instances]] = frozenset()


def rest_of(message: Hl7Message, reads: Reads, root: SegmentGroup | None = None) -> str | None:
    """The rest, its segments ended by CR; None when nothing is left, or when the message has other
    delimiters than ``|^~\\&``.

    ``root`` has the message's groups; without it those of its own structure are found.
    """
    if not message.separators.usual:
        return None
    of_name, of_segment = _found(message, reads, root)
    known: dict[frozenset[Instances], tuple[SegmentReads, list[dict[str, str]]]] = {}
    lines = []
    for segment in message.all:
        name, fields = segment.name, segment.fields
        places = of_segment.get(id(segment), _NONE)
        if name in of_name:
            places = places | of_name[name] if places else of_name[name]
        if places not in known:
            known[places] = _merged([reads[place] for place in places]), []
        read, wanted = known[places]
        begin = 3 if name in HEADERS else 1
        if read.whole:
            kept = fields[:begin]
        else:
            for number in range(len(wanted), len(fields)):
                of_field = read.fields.get(number) if number >= begin else None
                wanted.append(_Unread() if of_field is None else _Field(of_field))
            kept = list(map(getitem, wanted, fields))
        if begin == 3:
            kept[1:3] = ["^~\\&"]
        lines.append("|".join(kept).rstrip("|"))
    if all("|" not in line.removeprefix("MSH|^~\\&") for line in lines):
        return None
    return "\r".join(lines) + "\r"


def _found(
    message: Hl7Message, reads: Reads, root: SegmentGroup | None
) -> tuple[dict[str, frozenset[Instances]], dict[int, frozenset[Instances]]]:
    """What is read of all segments of a name, and of single segments, by their identity."""
    of_name: dict[str, frozenset[Instances]] = {}
    of_segment: dict[int, frozenset[Instances]] = {}
    groups: dict[str, list[SegmentGroup]] = {}
    for place in reads:
        alone = frozenset({place})
        if not place.group and not place.first:
            of_name[place.name] = alone
            continue
        if place.group and place.group not in groups:
            root = root or groups_of(message).root
            groups[place.group] = root.inside(place.group)
        for segment in _seen(message, place, groups.get(place.group, [])):
            others = of_segment.get(id(segment))
            of_segment[id(segment)] = others | alone if others else alone
    return of_name, of_segment


def _seen(message: Hl7Message, place: Instances, groups: list[SegmentGroup]) -> Iterator[Segment]:
    if not place.group:
        yield from message.segments(place.name)[:1]
    elif not place.first:
        for group in groups:
            yield from group.all(place.name)
    else:
        for group in groups:
            found = group.first(place.name)
            if found is not None:
                yield found


def _merged(several: list[SegmentReads]) -> SegmentReads:
    """All that any of them reads."""
    if len(several) == 1:
        return several[0]
    made = SegmentReads(any(one.whole for one in several))
    for one in several:
        for number, reads in one.fields.items():
            of_field = made.fields.setdefault(number, FieldReads())
            of_field.first |= reads.first
            of_field.every |= reads.every
    return made


class _Unread(dict[str, str]):
    """What is left of a field that nobody reads: all of it."""

    def __missing__(self, raw: str) -> str:
        self[raw] = raw
        return raw


class _Field(dict[str, str]):
    """What is left of one field, by what it holds: fields repeat in every OBX of a message."""

    def __init__(self, reads: FieldReads) -> None:
        self[""] = ""
        self.every = reads.every
        self.first = reads.first | reads.every
        whole = (EVERYTHING, EVERYTHING) in self.first
        self.simple = 0
        """The number of components of which, without sub-components, nothing is left."""
        while whole or not self.first.isdisjoint(
            {(self.simple + 1, 1), (self.simple + 1, EVERYTHING)}
        ):
            self.simple += 1
            if self.simple > _MOST:
                break

    def __missing__(self, raw: str) -> str:
        if "~" in raw:
            first, *others = raw.split("~")
            kept = [_left_of_repetition(other, self.every) for other in others]
            left = "~".join([_left_of_repetition(first, self.first), *kept]).rstrip("~")
        elif raw.count("^") < self.simple and "&" not in raw:
            left = ""
        else:
            left = _left_of_repetition(raw, self.first)
        self[raw] = left
        return left


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
