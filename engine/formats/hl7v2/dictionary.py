"""HL7's own definitions of segments, fields and datatypes, in all versions from 2.1 to 2.8.2.

``dictionary.txt`` is read once, in a few milliseconds; a segment is taken apart when it is first
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

VERSIONS: Final = (
    "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2",
)  # fmt: skip
WITHDRAWN: Final = "WD"
"""The datatype of a field that was taken out: its number stays."""


@dataclass(frozen=True, slots=True)
class Element:
    """A field of a segment or a component of a datatype, as ``versions`` define it."""

    number: int
    versions: frozenset[str]
    type: str
    """``varies`` where another field says it (OBX-5); ``-`` where nothing does."""
    required: bool
    repeats: bool
    table: str
    """``0001``, or empty."""
    name: str


Elements = Mapping[int, tuple[Element, ...]]
"""By number: one for each way in which some versions define it."""


@cache
def blocks(file: str) -> Mapping[str, tuple[str, ...]]:
    """The indented lines below each name, in a file of this folder."""
    text = Path(__file__).with_name(file).read_text("utf-8")
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(" "):
            lines.append(line)
        elif not line.startswith("#"):
            lines = found[line] = []
    return MappingProxyType({name: tuple(block) for name, block in found.items()})


@cache
def _elements(name: str) -> Elements:
    found: dict[int, tuple[Element, ...]] = {}
    for line in blocks("dictionary.txt").get(name, ()):
        number, versions, sort, flags, table, words = line.split(None, 5)
        element = Element(
            int(number),
            version_range(versions),
            sort,
            flags.startswith("R"),
            flags.endswith("*"),
            "" if table == "-" else table,
            words,
        )
        found[element.number] = (*found.get(element.number, ()), element)
    return MappingProxyType(found)


@cache
def version_range(text: str) -> frozenset[str]:
    """The versions that ``2.3-2.5.1,2.7`` means."""
    found: set[str] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.update(VERSIONS[VERSIONS.index(first) : VERSIONS.index(last or first) + 1])
    return frozenset(found)


def segment_fields(name: str) -> Elements:
    """The fields of a segment; empty for one that HL7 does not define, such as a Z segment."""
    return _elements(name)


def components(datatype: str) -> Elements:
    """The components of a datatype; empty for a simple or an unknown one."""
    return _elements(f"={datatype}")


def defined(elements: Elements, version: str) -> dict[int, Element]:
    """What one version has of them, by number."""
    return {
        number: one
        for number, several in elements.items()
        for one in several
        if version in one.versions
    }


def shown_versions(elements: tuple[Element, ...]) -> str:
    """``2.3.1 to 2.6`` or ``2.7 and later``: where a definition holds, for a sentence."""
    held = [v for v in VERSIONS if any(v in element.versions for element in elements)]
    if held[-1] == VERSIONS[-1]:
        return "all versions" if held[0] == VERSIONS[0] else f"{held[0]} and later"
    return held[0] if len(held) == 1 else f"{held[0]} to {held[-1]}"
