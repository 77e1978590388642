"""The complete check of an HL7 v2 message: also values against HL7's tables, and their lengths.

Tables are those that hl7apy has for the version of MSH-12, from 2.3.1 on.  Only the datatype ID is
held against its table: those of IS and CWE are the site's (HL7 2.5.1 ch. 2.5.3.6).  Lengths are
those of the field and of the component (`lengths`), else that of the datatype, which hl7apy has and
which counts from 2.5 to 2.6: before, HL7 did not define it, and later it is advice (HL7 2.7 ch.
2.5.5.2).  hl7apy's own validator is not asked: it wants every segment of a choice at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from engine.formats.findings import Finding
from engine.formats.hl7v2.dictionary import (
    VERSIONS,
    WITHDRAWN,
    Element,
    components,
    defined,
    segment_fields,
)
from engine.formats.hl7v2.lengths import longest_component, longest_field
from engine.formats.hl7v2.segment import HEADERS
from engine.formats.hl7v2.validation import MOST_FINDINGS, places, validate_message, value_findings
from engine.formats.null import NULL_TEXT

if TYPE_CHECKING:
    from engine.formats.hl7v2.message import Hl7Message
    from engine.formats.hl7v2.segment import Segment

_ELSEWHERE: Final = frozenset({"0003", "0076", "0104", "0125", "0211", "0354"})
"""Types, events, versions, structures, datatypes, charsets: what reads the message checks them."""
_EXTENSIBLE: Final = frozenset({"0203", "0291", "0396"})
"""HL7's own, and open: local identifier types, media types and coding systems."""
_PLACEHOLDER: Final = re.compile(r"\.\.|…|nnn|xxx|zzz| _|SUGGESTION| and higher|e\.g\.", re.I)
"""In a table that goes on: ``E1 ... E9``."""
_WITH_LENGTHS_OF_DATATYPES: Final = ("2.5", "2.5.1", "2.6")
_VARIABLE: Final = ("OBX", 5)
"""HL7 2.5.1 ch. 7.4.2.5: its length is that of its kind of value, texts and documents included."""
_MISPRINTED: Final = ("OBX", 2)
"""HL7 says 2 up to 2.5.1, and its own datatypes have three letters: 2.6 says 3."""
_TEXTS: Final = frozenset({"TX", "FT"})
_WITH_TABLES_OF_COMPONENTS: Final = "2.5.1"


def validate_message_completely(message: Hl7Message) -> tuple[Finding, ...]:
    """What `validate_message` finds, and values that no table has or that are too long, and what is
    wrong within OBX-5 and within components.  Many times slower.  At most `MOST_FINDINGS`."""
    found = list(validate_message(message))
    known = {str(one) for one in found}
    for finding in _all(message):
        if len(found) >= MOST_FINDINGS:
            break
        if str(finding) not in known:
            known.add(str(finding))
            found.append(finding)
    return tuple(found)


def _all(message: Hl7Message) -> Iterator[Finding]:
    version = message.version
    if version not in VERSIONS:
        return  # `validate_message` has said so
    for segment, place in places(message):
        fields = defined(segment_fields(segment.name), version)
        for number, element in fields.items():
            if number < 3 and segment.name in HEADERS:
                continue
            raw = segment.field(number)
            if raw and raw != NULL_TEXT and element.type != WITHDRAWN:
                yield from _field(message, segment, element, f"{place}-{number}", raw)


def _field(
    message: Hl7Message, segment: Segment, element: Element, place: str, raw: str
) -> Iterator[Finding]:
    here = (segment.name, element.number)
    varies = here == _VARIABLE
    datatype = segment.field(2) if varies else element.type
    walk = _Walk(message, message.version, texts=not varies)
    longest = (
        None
        if varies or here == _MISPRINTED
        else longest_field(segment.name, element.number, message.version)
    )
    for one in raw.split(message.separators.repetition):
        if varies:
            yield from value_findings(message, one, place, datatype, message.version)
        yield from walk.value(
            one, place, datatype, element.table, message.separators.component, longest
        )


class _Walk:
    """Through one field: its components and theirs."""

    def __init__(self, message: Hl7Message, version: str, *, texts: bool) -> None:
        self.separators, self.version, self.texts = message.separators, version, texts

    def value(
        self,
        raw: str,
        place: str,
        datatype: str,
        table: str,
        separator: str,
        longest: int | None,
    ) -> Iterator[Finding]:
        """``separator`` parts the components at this depth; empty where there are none."""
        if not raw or raw == NULL_TEXT:
            return
        known = defined(components(datatype), self.version)
        text = self.separators.unescape(raw)
        if (not known or not separator) and not self.coded(text, datatype, table):
            yield Finding(place, f"is not in HL7 table {table}")
            return
        if longest is not None and len(text) > longest:
            yield Finding(place, f"is longer than {longest} character{'s' * (longest > 1)}")
        elif not known and longest is None:
            yield from self.length_of(text, place, datatype)
        if not known or not separator:
            return
        pieces = raw.split(separator)
        deeper = "" if separator == self.separators.subcomponent else self.separators.subcomponent
        if not deeper:
            yield from self.inner_required(pieces, place, known)
        for number, element in known.items():
            piece = pieces[number - 1] if number <= len(pieces) else ""
            inner = element.table or _table_of(datatype, number, element.type)
            most = longest_component(datatype, number, self.version)
            yield from self.value(piece, f"{place}.{number}", element.type, inner, deeper, most)

    def inner_required(
        self, pieces: list[str], place: str, known: dict[int, Element]
    ) -> Iterator[Finding]:
        for number, element in known.items():
            if element.required and not "".join(pieces[number - 1 : number]) and any(pieces):
                yield Finding(f"{place}.{number}", "is required")

    def length_of(self, text: str, place: str, datatype: str) -> Iterator[Finding]:
        """Where neither the field nor the component has a length of its own."""
        longest = _longest(datatype, self.version)
        if longest is not None and len(text) > longest and (self.texts or datatype not in _TEXTS):
            yield Finding(place, f"is longer than the {longest} characters of {datatype}")

    def coded(self, text: str, datatype: str, table: str) -> bool:
        """False for a value that HL7's table for it does not have."""
        allowed = _closed(table, self.version) if datatype == "ID" and table else None
        return allowed is None or text in allowed


def _table_of(datatype: str, number: int, sort: str) -> str:
    """The table of a component in versions for which hl7apy names none."""
    if sort != "ID":
        return ""
    element = defined(components(datatype), _WITH_TABLES_OF_COMPONENTS).get(number)
    return element.table if element is not None and element.type == "ID" else ""


# --- hl7apy ---------------------------------------------------------------------------------------


def _definitions(version: str) -> Any:
    import hl7apy  # its definitions take memory: for those who ask

    return hl7apy.load_library(version)


@cache
def _closed(table: str, version: str) -> frozenset[str] | None:
    """The values of a table; None when it is not there, empty or may go on."""
    from hl7apy.exceptions import ChildNotFound

    if table in _ELSEWHERE or table in _EXTENSIBLE:
        return None
    try:
        _, values = _definitions(version).get(f"HL7{table}", "Table")
    except ChildNotFound:
        return None
    if not values or any(_PLACEHOLDER.search(value) for value in values):
        return None
    return frozenset(
        one.strip() for value in values for one in (value, *value.split(","))
    )  # "L,M,N": three on one line


@cache
def _longest(datatype: str, version: str) -> int | None:
    if version not in _WITH_LENGTHS_OF_DATATYPES:
        return None
    simple = _definitions(version).get_base_datatypes().get(datatype)
    if simple is None or datatype in ("DT", "TM", "DTM"):  # their form says it
        return None
    longest: int | None = simple(None).max_length
    return longest
