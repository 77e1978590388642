"""Public messages in groups: nothing is lost, and hl7apy groups them alike where it can."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, TypeAlias

from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from engine.contract import FormatError
from engine.formats.hl7v2 import Hl7Message, parse
from engine.formats.hl7v2.complete import validate_message_completely
from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.hl7v2.structure_table import groups_of, name_of
from engine.formats.hl7v2.validation import validate_message

Range: TypeAlias = "tuple[str, int, int]"
"""The name of a group, its first segment and the one behind its last."""

# Where we read a message differently from hl7apy, and mean to.
OTHERWISE = {
    "rsp_z88.hl7": "ORC after PID: hl7apy ends the group that PID began",
    "BDB_LAB_13.txt.hl7": "OBX after PID without OBR: the patient's, as 2.7 and later have it",
    "OML_O33-86e23cb5.hl7": "an order after an order is no prior result of the first",
    "OML-O21-03.hl7": "an order after an order is no prior result of the first",
    "OMG-O19-02.hl7": "an order after an order is no prior result of the first",
    "OUL-R22-01.hl7": "OBX after ORC is a result, no document about the order",
    "OUL-R22-02.hl7": "OBX after ORC is a result, no document about the order",
    "RDE-O11-01.hl7": "2.8 calls the timing after RXE TIMING, 2.5.1 to 2.7 TIMING_ENCODED",
    "RDE-O11-02.hl7": "2.8 calls the timing after RXE TIMING, 2.5.1 to 2.7 TIMING_ENCODED",
}


def messages(files: list[Path]) -> list[tuple[Path, Hl7Message]]:
    found = []
    for path in files:
        try:
            found.append((path, parse(path.read_bytes())))
        except FormatError:
            continue  # a batch, see test_hl7v2_messages
    return found


def test_every_segment_is_in_one_group_in_its_order(hl7v2_files: list[Path]) -> None:
    unknown = set()
    for path, message in messages(hl7v2_files):
        tree = groups_of(message)
        assert tree.names == [segment.name for segment in message.all]
        assert len(tree.owners) == len(tree.names)
        assert (tree.root.start, tree.root.end) == (0, len(tree.names))
        check_ranges(tree.root)
        for at, owner in enumerate(tree.owners):
            assert owner.start <= at < owner.end, path
            assert not any(group.start <= at < group.end for group in owner.groups), path
        if not name_of(message):
            unknown.add(message.type)
    assert unknown <= {"{}", "CUSTOM^PAT", "RQI^A04"}


def check_ranges(group: SegmentGroup) -> None:
    at = group.start
    for inner in group.groups:
        assert at <= inner.start < inner.end <= group.end
        at = inner.end
        check_ranges(inner)


def ranges(group: SegmentGroup) -> set[Range]:
    found = {(group.name, group.start, group.end)}
    return found.union(*(ranges(inner) for inner in group.groups))


def test_hl7apy_finds_the_same_groups(hl7v2_files: list[Path]) -> None:
    compared = 0
    otherwise = set()
    for path, message in messages(hl7v2_files):
        theirs = hl7apy_groups(message)
        if theirs is None:
            continue
        compared += 1
        root = groups_of(message).root
        known = {one for one in theirs if one[0] in root.definition.groups}
        if not known <= ranges(root):
            otherwise.add(path.name)
    assert otherwise <= OTHERWISE.keys()
    assert compared > 200 or len(hl7v2_files) < 100


def hl7apy_groups(message: Hl7Message) -> set[Range] | None:
    """None when hl7apy cannot read the message, or leaves out a segment or changes the order."""
    text = "\r".join(segment.text() for segment in message.all)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read = parse_message(text, find_groups=True)
    except (HL7apyException, AttributeError, ValueError):
        return None
    names: list[str] = []
    found: set[Range] = set()
    walk(read, (f"{read.name}_", f"{name_of(message)}_"), names, found)
    return found if names == [segment.name for segment in message.all] else None


def walk(element: Any, prefixes: tuple[str, ...], names: list[str], found: set[Range]) -> None:
    for child in element.children:
        if child.classname == "Group":
            start = len(names)
            walk(child, prefixes, names, found)
            name = child.name
            for prefix in prefixes:
                name = name.removeprefix(prefix)
            found.add((name, start, len(names)))
        else:
            names.append(child.name)


def test_every_message_can_be_validated(hl7v2_files: list[Path]) -> None:
    valid = 0
    for path, message in messages(hl7v2_files):
        found = validate_message(message)
        valid += not found
        assert all(one.place and one.problem for one in found), path
    assert valid > 20 or len(hl7v2_files) < 100


def test_every_message_can_be_validated_completely(hl7v2_files: list[Path]) -> None:
    more = 0
    for path, message in messages(hl7v2_files):
        found = validate_message_completely(message)
        fast = validate_message(message)
        more += len(found) > len(fast)
        assert found[: len(fast)] == fast, path
    assert more > 20 or len(hl7v2_files) < 100
