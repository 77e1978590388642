"""What the shipped FHIR → HL7 v2 mappings write has the structure that MSH-9.3 names.

hl7apy finds the groups of 2.5.1 in the expected outputs beside the mappings; a segment that its
structure has no place for, or that stands in the wrong place, would come back elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

MAPPINGS = Path(__file__).parents[3] / "mappings"
WRITTEN = sorted(MAPPINGS.glob("samples/everything-*.hl7"))


def test_all_nine_kinds_of_messages_are_there() -> None:
    kinds = {path.stem.removeprefix("everything-") for path in WRITTEN}
    assert kinds == {"adt", "dft", "mdm", "oml", "orm", "oru", "rde", "siu", "vxu"}


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_each_segment_has_its_place(path: Path) -> None:
    text = path.read_bytes().decode("utf-8").replace("\n", "\r").strip("\r")
    message = parse_message(text, find_groups=True, validation_level=VALIDATION_LEVEL.TOLERANT)
    segments = text.split("\r")
    assert message.name == segments[0].split("|")[8].split("^")[2]
    names = [line[:3] for line in segments]
    assert [line[:3] for line in message.to_er7().strip("\r").split("\r")] == names
    allowed = set(message.structure_by_name or ())
    assert {child.name for child in message.children} <= allowed
