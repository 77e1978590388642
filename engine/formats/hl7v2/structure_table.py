"""HL7's own message structures, and which of them a message has.

``structures/reading.txt`` has one structure for each message, whatever version its sender claims:
that of 2.6 or 2.5.1 with what other versions add, so that a mapping reads messages of all versions
by the same names of groups.  ``structures/events.txt`` says which structure a trigger event has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from engine.formats.hl7v2.grouping import GroupTree, Structure, group_tree
from engine.formats.hl7v2.message import Hl7Message
from engine.formats.hl7v2.structure import Group, StructureError, read_structure

_FOLDER = Path(__file__).with_name("structures")


@lru_cache(maxsize=1)
def _lines() -> Mapping[str, str]:
    return MappingProxyType(_named((_FOLDER / "reading.txt").read_text("utf-8")))


@lru_cache(maxsize=1)
def _events() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, events in _named((_FOLDER / "events.txt").read_text("utf-8")).items():
        message, structure = name.split()
        for event in events.partition(":")[2].split():
            found[f"{message}^{event}"] = structure
    return MappingProxyType(found)


def _named(text: str) -> dict[str, str]:
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {line.partition(":")[0]: line for line in lines}


def read_structures(text: str) -> Mapping[str, Structure]:
    """A sender's own structures by name.  A line that begins with white space goes on with the
    one before it; ``#`` begins a comment.  Raises StructureError."""
    found: dict[str, str] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].rstrip()
        if not content:
            continue
        if not content[0].isspace():
            name = content.partition(":")[0].strip()
            if name in found:
                raise StructureError(f"line {number}: {name} stands here twice")
        elif not name:
            raise StructureError(f"line {number}: a structure begins at the start of a line")
        found[name] = f"{found.get(name, '')} {content}"
    if not found:
        raise StructureError("there is no structure in it")
    return MappingProxyType({name: Structure(read_structure(one)) for name, one in found.items()})


def structure_names() -> frozenset[str]:
    """Every structure that mappings can read by."""
    return frozenset(_lines())


@lru_cache(maxsize=400)
def structure(name: str) -> Structure | None:
    """The structure of this name (``ORU_R01``) for reading, or None."""
    line = _lines().get(name)
    return None if line is None else Structure(read_structure(line))


def definition(name: str) -> Group | None:
    """What the structure of this name holds, or None."""
    found = structure(name)
    return None if found is None else found.group


def structure_of_event(message: str, event: str) -> str | None:
    """``ADT``, ``A04`` → ``ADT_A01``; None for an event that no version has."""
    found = _events().get(f"{message}^{event}")
    if found is None:
        found = f"{message}_{event}" if event else message
    return found if found in _lines() else None


def name_of(document: Hl7Message, fallback: str = "") -> str:
    """The name of the message's structure: by its type and event, else by MSH-9.3, else the
    fallback; empty when none of these is known.

    The event comes first because MSH-9.3 is copied from examples more often than it is right.
    """
    message, _, event = document.type.partition("^")
    found = structure_of_event(message, event)
    if found is not None:
        return found
    parts = document.header.field(9).split(document.separators.component)
    if len(parts) > 2 and parts[2].strip() in _lines():
        return parts[2].strip()
    return fallback if fallback in _lines() else ""


_NOTHING_KNOWN = Structure(Group("", ()))


def groups_of(
    document: Hl7Message, own: Mapping[str, Structure] | None = None, fallback: str = ""
) -> GroupTree:
    """The groups of a message; ``own`` are structures that come before HL7's.  Never raises.

    A message whose structure is not known has no groups: its root holds all segments.
    """
    name = name_of(document, fallback)
    found = (own.get(document.type.replace("^", "_")) or own.get(name)) if own else None
    return group_tree(document, found or structure(name) or _NOTHING_KNOWN)
