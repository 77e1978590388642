"""Parts of an HL7 v2 message as variables hold them: light views over raw text, decoded on use.

A repetition is the list of its raw components, a component the list of its raw sub-components.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from engine.formats.astm import AstmMessage
from engine.formats.hl7v2 import Hl7Message, Segment
from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.null import NULL
from engine.mapping.runstate import COMPONENT, ESCAPE, REPETITION, SUBCOMPONENT, UNESCAPE, Run


class Repetition(list[str]):
    """One repetition of a field."""

    __slots__ = ()


class Component(list[str]):
    """One component of a field."""

    __slots__ = ()


class Group:
    """A segment and those that belong to it, with the segments that stand before all groups."""

    __slots__ = ("around", "header", "segments")

    def __init__(self, segments: list[Segment], header: dict[str, list[Segment]]) -> None:
        self.segments, self.header = segments, header
        self.around: SegmentGroup | None = None
        """The group of the message's structure that this one was looked for in."""

    def all(self, name: str) -> Sequence[Segment]:
        own = [segment for segment in self.segments if segment.name == name]
        if own or name in self.header or self.around is None:
            return own or self.header.get(name, ())
        return self.around.all(name)

    def first(self, name: str) -> Segment | None:
        for segment in self.segments:
            if segment.name == name:
                return segment
        outside = self.header.get(name)
        if outside or self.around is None:
            return outside[0] if outside else None
        return self.around.first(name)


GROUPS: Final = (Group, SegmentGroup)


# How deep a segment stands in the abstract messages of chapters 3, 4 and 7: a group ends where a
# segment above its own begins.  Segments that are not listed belong to what precedes them.
_RANK: Final = {
    "FHS": 0, "BHS": 0, "MSH": 0, "BTS": 0, "FTS": 0,
    "PID": 1,
    "H": 0, "L": 0, "P": 1, "Q": 1, "O": 2, "R": 3,  # ASTM, LIS02-A2 5.4
    "ORC": 2, "SCH": 2, "RGS": 2, "IN1": 2,
    "OBR": 3, "RXO": 3, "RXE": 3, "RXD": 3, "RXA": 3,
    "OBX": 4, "SPM": 4,
}  # fmt: skip
_BELOW: Final = 9


def groups(segments: Sequence[Segment], anchor: str) -> list[Group]:
    """Each ``anchor`` with what follows it, up to the next one or to a segment above it.

    An ORC directly before an OBR, RXA … opens that group, as in ORU_R01 and VXU_V04.  The
    ``header`` of a group holds the segments outside all groups that stand before it; it begins
    anew with each PID, so that no order is ever read with another patient's header.
    """
    found: list[Group] = []
    rank = _RANK.get(anchor, _BELOW)
    led = 3 <= rank < 4
    header: dict[str, list[Segment]] = {}
    current: list[Segment] | None = None
    pending: list[Segment] = []  # an ORC and what follows it, until its OBR comes
    for segment in segments:
        name = segment.name
        if name == anchor:
            current = [*pending, segment]
            pending = []
            found.append(Group(current, header))
        elif led and name == "ORC":
            pending, current = [segment], None
        elif pending and _RANK.get(name, _BELOW) > 2:
            pending.append(segment)
        elif current is not None and _RANK.get(name, _BELOW) > min(rank, _BELOW - 1):
            current.append(segment)
        else:
            current, pending = None, []
            if name in ("PID", "P"):
                header = {key: header[key] for key in ("MSH", "SFT", "EVN") if key in header}
            else:
                header = dict(header)
            header[name] = [*header.get(name, ()), segment]
    return found


def repetitions(run: Run, text: str) -> list[Repetition]:
    """Those of a raw field that hold something."""
    separator = run[COMPONENT]
    if run[REPETITION] in text:
        return [Repetition(part.split(separator)) for part in text.split(run[REPETITION]) if part]
    return [Repetition(text.split(separator))] if text else []


def decode(run: Run, text: str) -> Any:
    """A raw text without separators: its text, NULL for ``""``, None for nothing."""
    if text == '""':
        return NULL
    if not text or text.isspace():
        return None
    if run[ESCAPE] in text:
        return run[UNESCAPE](text) or None
    return text


def component_leaf(run: Run, text: str) -> Any:
    """The text of a raw component: that of its first part, as chapter 2 asks of a receiver that
    expects a simpler type than the sender's."""
    if run[SUBCOMPONENT] in text:
        text = text.partition(run[SUBCOMPONENT])[0]
    return decode(run, text)


def whole_text(run: Run, node: Any) -> Any:
    """Everything a repetition or component holds, decoded, with the separators left in."""
    if node.__class__ is Repetition:
        separator = run[COMPONENT]
        parts = [run[UNESCAPE](part) for part in node]
    else:
        separator = run[SUBCOMPONENT]
        parts = [run[UNESCAPE](part) for part in node]
    text: str = separator.join(parts)
    if text == '""':
        return NULL
    return None if not text or text.isspace() else text


def begin_message(run: Run, message: Hl7Message | AstmMessage) -> None:
    """Put the separators of the message into the run; none of them is a letter or a digit."""
    separators = message.separators
    run[ESCAPE] = separators.escape_character
    run[REPETITION] = separators.repetition
    run[COMPONENT] = separators.component
    run[SUBCOMPONENT] = separators.subcomponent
    run[UNESCAPE] = separators.unescape
