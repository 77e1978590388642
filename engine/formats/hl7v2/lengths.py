"""How long a field or a component may be, in HL7 2.1 to 2.7.

Up to 2.6 HL7 gives every field a maximum length, and from 2.5 on every component: the characters of
one repetition, with the separators in it (HL7 2.5.1 ch. 2.5.3.2).  From 2.7 on only few lengths are
normative, and those are here; a conformance length, up to which a receiver must keep a value, is no
limit for the sender (HL7 2.7 ch. 2.5.5.2), and is not.  ``lengths.txt`` is read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from engine.formats.hl7v2.dictionary import blocks, version_range


def longest_field(segment: str, number: int, version: str) -> int | None:
    """The most characters of one repetition; None where HL7 says nothing."""
    return _longest(segment).get((number, version))


def longest_component(datatype: str, number: int, version: str) -> int | None:
    """The most characters of a component, in whatever field; None where HL7 says nothing."""
    return _longest(f"={datatype}").get((number, version))


@cache
def _longest(name: str) -> Mapping[tuple[int, str], int]:
    found: dict[tuple[int, str], int] = {}
    for line in blocks("lengths.txt").get(name, ()):
        number, *lengths = line.split()
        for one in lengths:
            length, _, versions = one.partition("@")
            for version in version_range(versions):
                found[int(number), version] = int(length)
    return MappingProxyType(found)
