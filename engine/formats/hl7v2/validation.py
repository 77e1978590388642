"""Strict validation of an HL7 v2 message: its structure, its fields, and what they hold.

The structure is the message's own (`structure_table`), the fields are those of the version that
MSH-12 names (HL7 2.5.1 ch. 2.5 to 2.9); without a known version, what all versions agree on.  A
finding names a place such as ``PID-3`` or ``OBX[2]-5``, and never holds a value of the message.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from engine.formats.findings import Finding
from engine.formats.hl7v2.dictionary import (
    VERSIONS,
    WITHDRAWN,
    Element,
    Elements,
    components,
    defined,
    segment_fields,
)
from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.hl7v2.message import Hl7Message
from engine.formats.hl7v2.segment import HEADERS, Segment
from engine.formats.hl7v2.structure import ANY
from engine.formats.hl7v2.structure_table import groups_of, name_of
from engine.formats.null import NULL_TEXT

MOST_FINDINGS: Final = 100
_FORMS: Final = {
    "NM": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)"),
    "SI": re.compile(r"\d{1,4}"),
    "DT": re.compile(r"\d{4}(\d{2}(\d{2})?)?"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,4})?)?)?([+-]\d{4})?"),
    "DTM": re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?"),
}
_WORDS: Final = {
    "NM": "a number",
    "SI": "a whole number of at most four digits",
    "DT": "a date: YYYY[MM[DD]]",
    "TM": "a time: HH[MM[SS[.SSSS]]][+/-ZZZZ]",
    "DTM": "a date and time: YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]",
}


def validate_message(message: Hl7Message) -> tuple[Finding, ...]:
    """What is wrong with the message; empty when it is valid.  At most `MOST_FINDINGS`."""
    found: list[Finding] = []
    for finding in _all(message):
        found.append(finding)
        if len(found) == MOST_FINDINGS:
            break
    return tuple(found)


def _all(message: Hl7Message) -> Iterator[Finding]:
    version = message.version
    if version not in VERSIONS:
        yield Finding("MSH-12", "names no version of HL7 v2 from 2.1 to 2.8.2")
        version = ""
    if name_of(message):
        yield from _group(groups_of(message).root)
    else:
        yield Finding("MSH-9", "no message structure is known for this type and event")
    for segment, place in places(message):
        yield from _fields(message, segment, place, version)


def places(message: Hl7Message) -> Iterator[tuple[Segment, str]]:
    """The segments with their names, numbered where several have the same: ``OBX[2]``."""
    several = Counter(segment.name for segment in message.all)
    seen: Counter[str] = Counter()
    for segment in message.all:
        name = segment.name
        seen[name] += 1
        yield segment, f"{name}[{seen[name]}]" if several[name] > 1 else name


# --- structure --------------------------------------------------------------------------------


def _group(group: SegmentGroup) -> Iterator[Finding]:
    """Segments and groups in their order, as often as they may be there."""
    parts = group.definition.parts
    names = [part.group.names if part.group else frozenset({part.name}) for part in parts]
    counts: Counter[int] = Counter()
    at = 0
    for name, inner in _children(group):
        if name.startswith("Z"):
            continue
        wanted = name if inner is None else inner.name
        after = [n for n in range(at, len(parts)) if _is(parts[n].name, wanted, names[n], inner)]
        before = [n for n in range(at) if _is(parts[n].name, wanted, names[n], inner)]
        if after:
            at = after[0]
            if counts[at] and not parts[at].repeats:
                at = after[1] if len(after) > 1 else at
            counts[at] += 1
            if counts[at] > 1 and not parts[at].repeats:
                yield Finding(wanted, f"may stand only once in {group.name}")
        elif before:
            counts[before[0]] += 1
            yield Finding(wanted, f"stands too late in {group.name}")
        else:
            yield Finding(wanted, f"does not belong into {group.name}")
        if inner is not None:
            yield from _group(inner)
    if group.definition.choice:
        return
    for number, part in enumerate(parts):
        if part.required and not counts[number] and part.name != ANY:
            what = "the group " if part.group is not None and part.name else ""
            yield Finding(group.name, f"{what}{part.name or 'one of its segments'} is missing")


def _is(part: str, wanted: str, names: frozenset[str], inner: SegmentGroup | None) -> bool:
    if inner is None:
        return part in (wanted, ANY) or (part == "" and wanted in names)
    return part == wanted


def _children(group: SegmentGroup) -> Iterator[tuple[str, SegmentGroup | None]]:
    """Its own segments and the groups in it, in the order of the message."""
    tree = group.tree
    following = iter(group.groups)
    inner = next(following, None)
    at = group.start
    while at < group.end:
        if inner is not None and inner.start == at:
            yield inner.name, inner
            at = inner.end
            inner = next(following, None)
        else:
            yield tree.names[at], None
            at += 1


# --- fields -----------------------------------------------------------------------------------


def _fields(message: Hl7Message, segment: Segment, place: str, version: str) -> Iterator[Finding]:
    known = segment_fields(segment.name)
    if not known:
        if not segment.name.startswith("Z"):
            yield Finding(place, "is no segment of HL7")
        return
    fields = defined(known, version) if version else _agreed(known)
    if not fields:
        yield Finding(place, f"is no segment of HL7 {version}")
        return
    for number in range(max(fields) + 1, len(segment.fields)):
        if segment.fields[number]:
            yield Finding(f"{place}-{number}", f"the segment ends with field {max(fields)}")
    for number, element in fields.items():
        text = segment.field(number)
        if number < 3 and segment.name in HEADERS:
            continue
        if not text:
            if element.required:
                yield Finding(f"{place}-{number}", "is required")
            continue
        if element.type == WITHDRAWN or text == NULL_TEXT:
            continue
        repetitions = text.split(message.separators.repetition)
        if len(repetitions) > 1 and not element.repeats:
            yield Finding(f"{place}-{number}", "may not repeat")
        for one in repetitions:
            yield from value_findings(message, one, f"{place}-{number}", element.type, version)


def value_findings(
    message: Hl7Message, text: str, place: str, datatype: str, version: str
) -> Iterator[Finding]:
    """What is wrong with the form of one repetition of a field; ``version`` may be empty."""
    parts = components(datatype)
    known = defined(parts, version) if version else {n: several[-1] for n, several in parts.items()}
    pieces = text.split(message.separators.component)
    if known:
        yield from _components(pieces, place, datatype, known)
    elif datatype in _FORMS:
        if len(pieces) > 1:
            yield Finding(place, f"{datatype} has no components")
        elif text and text != NULL_TEXT and not _FORMS[datatype].fullmatch(text):
            yield Finding(place, f"is not {_WORDS[datatype]}")


def _components(
    pieces: list[str], place: str, datatype: str, known: dict[int, Element]
) -> Iterator[Finding]:
    if len(pieces) > max(known):
        yield Finding(place, f"has more than the {max(known)} components of {datatype}")
    for number, element in known.items():
        piece = pieces[number - 1] if number <= len(pieces) else ""
        if not piece:
            if element.required and any(pieces):
                yield Finding(f"{place}.{number}", "is required")
        elif element.type in _FORMS and not _FORMS[element.type].fullmatch(piece):
            yield Finding(f"{place}.{number}", f"is not {_WORDS[element.type]}")


def _agreed(known: Elements) -> dict[int, Element]:
    """One definition of each field, required only where all versions require it."""
    found: dict[int, Element] = {}
    for number, several in known.items():
        last = several[-1]
        found[number] = Element(
            number,
            last.versions,
            last.type if len({one.type for one in several}) == 1 else "-",
            all(one.required for one in several),
            any(one.repeats for one in several),
            last.table,
            last.name,
        )
    return found
