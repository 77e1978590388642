"""What a version of HL7 v2 does not have: segments, fields, components and sub-components that
other versions define.  What no version defines (Z segments, local fields) belongs to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias

from engine.formats.hl7v2.dictionary import (
    VERSIONS,
    WITHDRAWN,
    Element,
    Elements,
    components,
    segment_fields,
)

Losses: TypeAlias = Mapping[int, frozenset[int] | None]
"""By component: None where it does not exist, else the sub-components that do not."""

KEPT: Final[Losses] = MappingProxyType({})
NONE_LOST: Final[frozenset[int]] = frozenset()
_OPEN: Final = frozenset({"varies", "-"})


@lru_cache(maxsize=4096)
def losses(segment: str, version: str) -> Mapping[int, Losses | None] | None:
    """The fields of which something is lost: None for a whole field.

    None when the version has no such segment; empty for a version that HL7 does not know.
    """
    if version not in VERSIONS:
        return MappingProxyType({})
    fields = segment_fields(segment)
    here = _here(fields, version)
    if fields and not here:
        return None
    found: dict[int, Losses | None] = {}
    for number, several in fields.items():
        now = here.get(number)
        if now is None:
            found[number] = None
        elif now.type not in _OPEN:
            lost = _lost(now.type, frozenset(one.type for one in several), version)
            if lost:
                found[number] = lost
    return MappingProxyType(found)


@lru_cache(maxsize=4096)
def types_of(segment: str, number: int, version: str) -> tuple[str, ...]:
    """The datatypes that a field has had, that of the version first."""
    several = segment_fields(segment).get(number, ())
    now = [one.type for one in several if version in one.versions]
    return tuple(dict.fromkeys([*now, *(one.type for one in several)]))


@lru_cache(maxsize=4096)
def _lost(type: str, types: frozenset[str], version: str) -> Losses:
    """What a field loses that has this type now and had these ones ever."""
    here = _parts(type, version)
    found: dict[int, frozenset[int] | None] = {}
    known: dict[int, set[str]] = {}
    for one in types:
        for number, several in components(one).items():
            known.setdefault(number, set()).update(element.type for element in several)
    for number, kinds in known.items():
        now = here.get(number)
        if now is None:
            found[number] = None
            continue
        subs = {sub for kind in kinds for sub in components(kind)}
        gone = subs - set(_parts(now, version))
        if gone:
            found[number] = frozenset(gone)
    return MappingProxyType(found)


def _parts(type: str, version: str) -> Mapping[int, str]:
    """The types of a type's parts by number; a simple type is its own first part."""
    here = _here(components(type), version)
    return {number: one.type for number, one in here.items()} if here else {1: type}


def _here(elements: Elements, version: str) -> dict[int, Element]:
    """What a version has by number.  HL7 takes nothing away but what it calls withdrawn, so what
    the dictionary does not list for a version is there as the last one before has it."""
    found: dict[int, Element] = {}
    until = VERSIONS[: VERSIONS.index(version) + 1]
    for number, several in elements.items():
        latest = max(several, key=lambda one: _last(one, until))
        if _last(latest, until) >= 0 and latest.type != WITHDRAWN:
            found[number] = latest
    return found


def _last(element: Element, versions: tuple[str, ...]) -> int:
    return max((at for at, one in enumerate(versions) if one in element.versions), default=-1)
