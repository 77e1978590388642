"""Strict validation says where a message breaks the rules, and never what stands there."""

from __future__ import annotations

import pytest

from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.complete import validate_message_completely
from engine.formats.hl7v2.validation import MOST_FINDINGS, validate_message

GOOD = """\
MSH|^~\\&|HIS|A|LIS|B|20240115083000+0800||ORU^R01^ORU_R01|77|P|2.5.1
PID|1||4711^^^HIS^MR~12^^^SSA^SS||Secret^Anna||19610203|F
PV1|1|I
ORC|RE
OBR|1|||718-7^Hemoglobin^LN
OBX|1|NM|718-7^Hemoglobin^LN||13.5|g/dL|||||F
ZXX|anything|at|all
NTE|1||a note
"""


def places(text: str) -> list[str]:
    message = parse(text.replace("\n", "\r").encode())
    found = validate_message(message)
    assert not any("ecret" in str(one) for one in found)
    return [str(one) for one in found]


def test_a_good_message() -> None:
    assert places(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("|2.5.1", "|9.9", "MSH-12: names no version of HL7 v2 from 2.1 to 2.8.2"),
        ("ORU^R01^ORU_R01", "Q^Z", "MSH-9: no message structure is known for this type and event"),
        ("|77|P", "||P", "MSH-10: is required"),
        ("4711^^^HIS^MR~12^^^SSA^SS", "", "PID-3: is required"),
        ("Secret^Anna", "Secret^1^2^3^4^5^6^7^8^9^1^2^3^4^5", "PID-5: has more than the 14"),
        ("19610203", "3 Feb 1961", "PID-7.1: is not a date and time"),
        ("|F\nPV1", "|F~M\nPV1", "PID-8: may not repeat"),
        ("PV1|1|I", "PV1|x|I", "PV1-1: is not a whole number"),
        ("PV1|1|I", "PV1|1", "PV1-2: is required"),
        ("ORC|RE\n", "ORC|RE\nORC|RE\n", "ORDER_OBSERVATION: OBR is missing"),
        ("OBR|1|||718-7^Hemoglobin^LN\n", "", "ORDER_OBSERVATION: OBR is missing"),
        ("PV1|1|I", "PV1|1|I\nPV1|1|I", "PV1: may stand only once in VISIT"),
        ("ORC|RE", "GT1|1", "GT1: does not belong into VISIT"),
        ("PV1|1|I", "XYZ|1", "XYZ: is no segment of HL7"),
        ("ZXX|anything", "ARV|1", "ARV: is no segment of HL7 2.5.1"),
        ("NTE|1||a note", "NTE|1||a note||||||||||x", "NTE-13: the segment ends with field 4"),
    ],
)
def test_what_is_wrong(old: str, new: str, finding: str) -> None:
    assert old in GOOD
    found = places(GOOD.replace(old, new, 1))
    assert any(one.startswith(finding) for one in found), found


def test_findings_end_somewhere() -> None:
    assert len(places(GOOD + "OBX|x|NM|||\n" * 300)) == MOST_FINDINGS


def more(text: str) -> list[str]:
    """What the complete check finds besides."""
    message = parse(text.replace("\n", "\r").encode())
    found = validate_message_completely(message)
    assert not any("ecret" in str(one) for one in found)
    fast = validate_message(message)
    assert found[: len(fast)] == fast
    return [str(one) for one in found[len(fast) :]]


def test_a_good_message_is_completely_good() -> None:
    assert more(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("g/dL|||||F", "g/dL|||||Secret", "OBX-11: is not in HL7 table 0085"),
        ("HIS^MR~", "HIS&1.2.3&Secret^MR~", "PID-3.4.3: is not in HL7 table 0301"),
        ("Secret^Anna", "Secret^Anna^^^^^secret", "PID-5.7: is not in HL7 table 0200"),
        ("||13.5|", f"||{'1' * 17}|", "OBX-5: is longer than the 16 characters of NM"),
        ("||13.5|", "||Secret|", "OBX-5: is not a number"),
        ("PV1|1|I", "PV1|1|IP", "PV1-2: is longer than 1 character"),
        ("718-7^Hemoglobin^LN\nOBX", f"{'7' * 200}\nOBX", "OBR-4.1: is longer than 20 characters"),
        ("4711^^^HIS", f"{'7' * 16}^^^HIS", "PID-3.1: is longer than 15 characters"),
        ("4711^^^HIS", "\\T\\" * 15 + "^^^HIS", ""),  # fifteen characters, escaped
        ("4711^^^HIS", "4711^^^HIS&1.2.3&ISO", ""),
        ("|NM|718-7^Hemoglobin^LN||", "|CWE|718-7^Hemoglobin^LN||", ""),  # HL7 misprints OBX-2
        ("|F\nPV1", "|S\nPV1", ""),  # a user-defined table is the site's
        ("^^^SSA^SS", "^^^SSA^SECRT", ""),  # so are identifier types
        ("|Secret^Anna|", '|""|', ""),
    ],
)
def test_what_the_complete_check_finds(old: str, new: str, finding: str) -> None:
    assert old in GOOD
    found = more(GOOD.replace(old, new, 1))
    assert found[0].startswith(finding) if finding else not found, found


def test_a_component_of_a_component_may_be_required() -> None:
    good = GOOD.replace("|2.5.1\n", "|2.6\n")
    assert more(good) == []
    found = more(good.replace("|Secret^Anna", "|&Secret^Anna"))
    assert found == ["PID-5.1.1: is required"]


def test_lengths_and_tables_are_those_of_the_version() -> None:
    long = GOOD.replace("PV1|1|I", f"PV1|1|{'I' * 21}").replace("|77|", f"|{'7' * 21}|")
    assert more(long.replace("|2.5.1\n", "|2.8\n")) == []
    for version, name in (("2.5.1", 20), ("2.4", 20), ("2.3", 20), ("2.7", 0)):
        found = more(long.replace("|2.5.1\n", f"|{version}\n"))
        assert (f"MSH-10: is longer than {name} characters" in found) is bool(name), found
    assert more(GOOD.replace("|F\nZXX", "|V\nZXX").replace("|2.5.1\n", "|2.8\n")) == []
    assert more(GOOD.replace("|F\nZXX", "|V\nZXX")) == ["OBX-11: is not in HL7 table 0085"]


@pytest.mark.parametrize("version", ["", "9.9", "2.1", "2.2", "2.3"])
def test_versions_without_tables(version: str) -> None:
    text = GOOD.replace("|2.5.1\n", f"|{version}\n").replace("|F\nZXX", "|secret\nZXX")
    assert not any("table" in one for one in more(text))


def test_complete_findings_end_somewhere() -> None:
    message = parse((GOOD.strip() + "\nOBX|1|NM|1||x|||||F" * 300).replace("\n", "\r").encode())
    assert len(validate_message_completely(message)) == MOST_FINDINGS
