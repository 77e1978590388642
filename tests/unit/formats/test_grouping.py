"""Segments into groups: the order that the standard says, and what senders make of it."""

from __future__ import annotations

import random

import pytest

from engine.formats.hl7v2 import Hl7Message, parse
from engine.formats.hl7v2.grouping import SegmentGroup
from engine.formats.hl7v2.structure import StructureError, read_structure
from engine.formats.hl7v2.structure_table import (
    definition,
    groups_of,
    name_of,
    structure_names,
    structure_of_event,
)


def message(type: str, segments: str, version: str = "2.5.1") -> Hl7Message:
    """A message of these segments; field 1 of each is its number, from 1 for the one after MSH."""
    lines = [f"MSH|^~\\&|A|B|C|D|20240115||{type}|1|P|{version}"]
    lines += [f"{name}|{number}" for number, name in enumerate(segments.split(), start=1)]
    return parse("\r".join([*lines, ""]).encode())


def drawn(group: SegmentGroup) -> str:
    """``NAME(own segments, GROUP(…))`` in the order of the message."""
    tree, parts, at = group.tree, [], group.start
    inner = iter(group.groups)
    following = next(inner, None)
    while at < group.end:
        if following is not None and following.start == at:
            parts.append(drawn(following))
            at = following.end
            following = next(inner, None)
        else:
            assert tree.owners[at] is group
            parts.append(tree.names[at])
            at += 1
    assert following is None
    return f"{group.name}({' '.join(parts)})"


def grouped(type: str, segments: str, version: str = "2.5.1") -> str:
    """What stands in the message, without the message itself."""
    text = drawn(groups_of(message(type, segments, version)).root)
    return text[text.index("(") + 1 : -1].removeprefix("MSH").strip()


@pytest.mark.parametrize(
    ("type", "segments", "groups"),
    [
        (
            "ORU^R01",
            "PID NTE PV1 ORC OBR NTE OBX NTE OBX OBR OBX SPM",
            "PATIENT_RESULT(PATIENT(PID NTE VISIT(PV1)) "
            "ORDER_OBSERVATION(COMMON_ORDER(ORC) OBR NTE OBSERVATION(OBX NTE) OBSERVATION(OBX)) "
            "ORDER_OBSERVATION(OBR OBSERVATION(OBX) SPECIMEN(SPM)))",
        ),
        (
            "ORU^R01",  # several patients
            "PID OBR OBX PID OBR OBX",
            "PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX))) "
            "PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX)))",
        ),
        (
            "ORU^R01",  # the order's note before its OBR; an unknown segment
            "PID ORC NTE OBR OBX ZXX NTE",
            "PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(COMMON_ORDER(ORC) NTE OBR "
            "OBSERVATION(OBX ZXX NTE)))",
        ),
        (
            "ORU^R01",  # no OBR, and no PID
            "ORC OBX OBX",
            "PATIENT_RESULT(ORDER_OBSERVATION(COMMON_ORDER(ORC) OBSERVATION(OBX) "
            "OBSERVATION(OBX)))",
        ),
        (
            "ORU^R01",  # a visit that comes late begins no other patient
            "PID OBR OBX PV1 OBR OBX",
            "PATIENT_RESULT(PATIENT(PID) ORDER_OBSERVATION(OBR OBSERVATION(OBX)) "
            "PATIENT(VISIT(PV1)) ORDER_OBSERVATION(OBR OBSERVATION(OBX)))",
        ),
        (
            "OML^O21",  # an order after an order is none of the prior results
            "PID PV1 ORC OBR OBX SPM OBX ORC OBR OBR",
            "PATIENT(PID PATIENT_VISIT(PV1)) "
            "ORDER(ORC OBSERVATION_REQUEST(OBR OBSERVATION(OBX) "
            "SPECIMEN(SPM SPECIMEN_OBSERVATION(OBX)))) "
            "ORDER(ORC OBSERVATION_REQUEST(OBR)) ORDER(OBSERVATION_REQUEST(OBR))",
        ),
        (
            "ORM^O01",  # OBRs without ORC
            "PID PV1 ORC OBR NTE OBR DG1 ORC RXO",
            "PATIENT(PID PATIENT_VISIT(PV1)) ORDER(ORC ORDER_DETAIL(OBR NTE)) "
            "ORDER(ORDER_DETAIL(OBR DG1)) ORDER(ORC ORDER_DETAIL(RXO))",
        ),
        (
            "ADT^A08",  # two PIDs, and insurance before what stands before it
            "EVN PID PID PV1 IN1 IN2 GT1 IN1 AL1 ACC",
            "EVN PID PID PV1 INSURANCE(IN1 IN2) GT1 INSURANCE(IN1) AL1 ACC",
        ),
        (
            "VXU^V04",
            "PID PV1 ORC RXA RXR OBX NTE RXA OBX ORC RXA",
            "PID PATIENT(PV1) ORDER(ORC RXA RXR OBSERVATION(OBX NTE)) "
            "ORDER(RXA OBSERVATION(OBX)) ORDER(ORC RXA)",
        ),
        (
            "RDE^O11",
            "PID ORC RXO RXR RXC RXE TQ1 RXR ORC RXE RXR RXE",
            "PATIENT(PID) ORDER(ORC ORDER_DETAIL(RXO RXR COMPONENT(RXC)) RXE "
            "TIMING_ENCODED(TQ1) RXR) ORDER(ORC RXE RXR) ORDER(RXE)",
        ),
        (
            "SIU^S12",
            "SCH NTE PID PV1 RGS AIS NTE AIL AIP RGS AIG",
            "SCH NTE PATIENT(PID PV1) RESOURCES(RGS SERVICE(AIS NTE) LOCATION_RESOURCE(AIL) "
            "PERSONNEL_RESOURCE(AIP)) RESOURCES(RGS GENERAL_RESOURCE(AIG))",
        ),
        ("ADT^A40", "EVN PID MRG PID MRG", "EVN PATIENT(PID MRG) PATIENT(PID MRG)"),
        ("XYZ^Z99", "PID ZZZ OBX", "PID ZZZ OBX"),
    ],
)
def test_groups(type: str, segments: str, groups: str) -> None:
    assert grouped(type, segments) == groups


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.7", "2.8.2"])
def test_groups_have_the_same_names_in_all_versions(version: str) -> None:
    segments = "PID PV1 ORC OBR NTE OBX NTE"
    assert grouped("ORU^R01", segments, version) == grouped("ORU^R01", segments)


def test_the_event_says_the_structure() -> None:
    assert structure_of_event("ADT", "A04") == "ADT_A01"
    assert structure_of_event("RDE", "O01") == "RDE_O11"
    assert structure_of_event("MDM", "T02") == "MDM_T02"
    assert structure_of_event("ADT", "Z99") is None
    assert name_of(message("ADT^A08^ADT_A08", "EVN")) == "ADT_A01"
    assert name_of(message("ZZZ^Z01^ORU_R01", "OBR")) == "ORU_R01"
    assert name_of(message("ZZZ^Z01", "OBR"), "ORU_R01") == "ORU_R01"
    assert name_of(message("ZZZ^Z01", "OBR"), "what") == ""


def test_every_structure_can_be_read() -> None:
    for name in structure_names():
        found = definition(name)
        assert found is not None
        assert found.parts[0].name == "MSH"


def test_what_a_group_sees() -> None:
    """Its own, those below, then those around it; never another repetition's."""
    root = groups_of(
        message("ORU^R01", "PID NTE PV1 ORC OBR NTE OBX NTE OBX OBR OBX ZXX NTE PID OBR")
    ).root

    def seen(group: SegmentGroup, name: str) -> list[str]:
        return [segment.field(1) for segment in group.all(name)]

    first, second, third = root.inside("ORDER_OBSERVATION")
    assert seen(first, "NTE") == ["6"]  # not the result's
    assert seen(first, "OBX") == ["7", "9"]
    assert seen(second, "NTE") == []  # neither the patient's nor its result's
    assert seen(second, "ORC") == []  # not the first order's
    assert seen(second, "PID") == seen(first, "PID") == ["1"]
    assert seen(third, "PID") == ["14"]
    assert seen(second, "ZXX") == ["12"]
    assert seen(first, "ZXX") == seen(third, "PV1") == []
    result = first.inside("OBSERVATION")[1]
    assert seen(result, "NTE") == []
    assert seen(result, "OBR") == ["5"]
    assert seen(result, "PV1") == ["3"]
    assert [g.name for g in result.named("VISIT")] == ["VISIT"]
    assert [s.name for s in second.segments] == ["OBR", "OBX", "ZXX", "NTE"]


def test_no_segment_is_lost_whatever_comes() -> None:
    chance = random.Random(7)  # noqa: S311
    names = sorted(structure_names())
    for _ in range(300):
        name = chance.choice(names)
        group = definition(name)
        assert group is not None
        known = [*sorted(group.names - {"ANY", "MSH"}), "ZZZ", "Z01", "OBX", "NTE", "PID"]
        segments = chance.choices(known, k=chance.randint(1, 40))
        tree = groups_of(message(name.replace("_", "^", 1), " ".join(segments)), None, name)
        assert tree.names == ["MSH", *segments]
        text = drawn(tree.root)  # asserts that each segment is in one group
        assert [w for w in text.replace("(", " ( ").replace(")", " ").split() if len(w) == 3] == [
            "MSH",
            *segments,
        ]


@pytest.mark.parametrize("results", [50, 500, 5000])
def test_the_work_grows_with_the_message(results: int) -> None:
    tree = groups_of(message("ORU^R01", "PID PV1 ORC OBR " + "OBX NTE " * results))
    assert len(tree.root.inside("OBSERVATION")) == results
    assert tree.steps < 2.5 * len(tree.names)


@pytest.mark.parametrize(
    "text",
    [
        "ORU_R01",
        "ORU_R01:",
        "ORU_R01: MSH [PID",
        "ORU_R01: MSH PID]",
        "ORU_R01: MSH [PID}",
        "ORU_R01: MSH []",
        "ORU_R01: MSH pid",
        "ORU_R01: MSH PATIENT",
        "ORU_R01: MSH PATIENT: PID",
        "ORU_R01: MSH " + "[" * 30,
        "MSH PID",
    ],
)
def test_what_is_no_structure_is_refused(text: str) -> None:
    with pytest.raises(StructureError):
        read_structure(text)
