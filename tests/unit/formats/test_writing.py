"""From a mapping's tree to an HL7 v2 message."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import hl7
import pytest

from engine.contract import FormatError, Payload
from engine.formats import FORMATS, NULL
from engine.formats.hl7v2 import parse

HL7 = FORMATS["hl7v2"]
MSH = {9: {1: "OML", 2: "O21"}, 10: "1", 12: "2.5.1"}


def written(tree: dict[Any, Any], charset: str | None = None) -> str:
    return HL7.write(tree, charset=charset).body.decode().replace("\r", "\n")


def test_an_order_with_groups_repetitions_and_escapes() -> None:
    tree = {
        "MSH": {3: "EHR", 9: {1: "OML", 2: "O21", 3: "OML_O21"}, 10: "M1", 11: "P", 12: "2.5.1"},
        "PATIENT": {
            "PID": {
                1: 1,
                "3": [{1: "12345", 4: "HOSP", 5: "MR"}, {"1": "9|9", 4: {1: "urn", 3: "x"}}],
                5: [{1: "O'Neil & Sons", 2: "Anna"}, {1: "Smith"}],
                7: "19800229",
                8: None,
                9: "",
                10: {1: None, 2: {3: ""}},
                11: [],
                12: [{}, None],
            },
            "PATIENT_VISIT": None,
        },
        "ORDER": [
            {"ORC": {1: "NW", 2: "P-1"}, "OBR": {1: 1, 4: {1: "2951-2", 3: "LN"}}, "NTE": []},
            {"ORC": {1: "NW", 2: "P-2"}, "NTE": [{1: 1, 3: "a\nb"}, {1: 2, 3: "c\r"}]},
        ],
        "ZZ1": {5: NULL, 6: {1: NULL, 2: True}, 7: False, 8: Decimal("1.50"), 9: 0, 10: 2.5},
        "ZZ2": {1: "", 2: None},
        "ZZ3": [{8: Decimal("1E+3"), 9: Decimal("1E-7")}],
    }
    assert written(tree) == (
        "MSH|^~\\&|EHR||||||OML^O21^OML_O21|M1|P|2.5.1\n"
        "PID|1||12345^^^HOSP^MR~9\\F\\9^^^urn&&x||O'Neil \\T\\ Sons^Anna~Smith||19800229\n"
        "ORC|NW|P-1\n"
        "OBR|1|||2951-2^^LN\n"
        "ORC|NW|P-2\n"
        "NTE|1||a\\.br\\b\n"
        "NTE|2||c\\X0D\\\n"
        'ZZ1|||||""|""^Y|N|1.50|0|2.5\n'
        "ZZ3||||||||1000|0.0000001\n"
    )


def test_python_hl7_reads_what_was_written() -> None:
    text = "|^~\\&\r\n é 珅"
    body = HL7.write({"MSH": MSH, "OBX": [{5: text}, {5: {2: {2: text}}}]}).body
    theirs = hl7.parse(body.decode())
    text = text.replace("\n", "\r")  # their reading of a line break
    assert theirs.unescape(str(theirs["OBX"][0][5])) == text
    assert theirs.unescape(str(theirs["OBX"][1][5][0][1][1])) == text


@pytest.mark.parametrize(
    ("charset", "declared", "expected"),
    [
        (None, None, ""),
        ("utf-8", None, "UNICODE UTF-8"),
        ("utf-8", "8859/1", "UNICODE UTF-8"),
        ("utf-8", "UTF-8", "UTF-8"),
        (None, "8859/1", "8859/1"),
        ("gb18030", None, "GB 18030-2000"),
        ("gbk", "", "GBK"),
    ],
)
def test_msh_18_and_the_bytes_agree(
    charset: str | None, declared: str | None, expected: str
) -> None:
    tree = {"MSH": {**MSH, 18: declared}, "PID": {5: "Muller"}}
    payload = HL7.write(tree, charset=charset)
    assert parse(payload.body).header.field(18) == expected
    assert parse(payload.body).charset.codec == payload.charset
    assert payload.content_type == "application/hl7-v2"


def test_what_is_not_ascii_declares_utf_8() -> None:
    payload = HL7.write({"MSH": MSH, "PID": {5: "Müller"}})
    assert parse(payload.body).header.field(18) == "UNICODE UTF-8"
    assert payload.charset == "utf-8"


def test_a_parsed_segment_is_copied() -> None:
    source = parse(b"MSH|^~\\&|A\rPID|1||7^^^X||Doe\\T\\Co^\rOBX|1\rOBX|2\r")
    tree = {"MSH": source.header, "PID": source.segment("PID"), "OBX": list(source.segments("OBX"))}
    assert written(tree) == "MSH|^~\\&|A\nPID|1||7^^^X||Doe\\T\\Co^\nOBX|1\nOBX|2\n"
    odd = parse(b"MSH|#~\\&|A\rPID|1||7##X\r")
    with pytest.raises(FormatError):
        HL7.write({"MSH": MSH, "PID": odd.segment("PID")})


def test_a_message_is_written_as_it_is() -> None:
    body = b"MSH|^~\\&|A\nPID|1\n"
    assert HL7.write(HL7.parse(Payload(body))) == Payload(body, "application/hl7-v2", "utf-8")


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        (None, ""),
        ([], ""),
        ({}, "MSH"),
        ({"PID": {1: 1}}, "MSH"),
        ({"PID": {1: 1}, "MSH": MSH}, "MSH"),
        ({"MSH": [MSH, MSH]}, "MSH"),
        ({"MSH": MSH, "PID": "x"}, "PID"),
        ({"MSH": MSH, "PID": {0: "x"}}, "PID"),
        ({"MSH": MSH, "PID": {1000: "x"}}, "PID"),
        ({"MSH": MSH, "PID": {"name": "x"}}, "PID"),
        ({"MSH": MSH, "PID": {5: {"x": 1}}}, "PID-5"),
        ({"MSH": MSH, "PID": {5: [[1]]}}, "PID-5"),
        ({"MSH": MSH, "PID": {5: {1: [1]}}}, "PID-5.1"),
        ({"MSH": MSH, "PID": {5: {1: {1: {}}}}}, "PID-5.1.1"),
        ({"MSH": MSH, "PID": {5: b"x"}}, "PID-5"),
        ({"MSH": MSH, "PID": {5: float("nan")}}, "PID-5"),
        ({"MSH": MSH, "PID": {5: Decimal("1E+999999")}}, "PID-5"),
        ({"MSH": MSH, "PATIENT": "x"}, "PATIENT"),
        ({"MSH": MSH, "PATIENT": {"PID": {5: {1: object()}}}}, "PATIENT.PID-5.1"),
    ],
)
def test_a_misshapen_tree_is_an_error_with_its_place(tree: Any, place: str) -> None:
    with pytest.raises(FormatError) as error:
        HL7.write(tree)
    assert error.value.info.code == "HL7-TREE"
    assert place in error.value.info.summary


def test_key_and_control_id() -> None:
    document = HL7.parse(Payload(b"MSH|^~\\&|||||||ADT^A08|M\\T\\7|P|2.5\r"))
    assert HL7.key(document) == "ADT^A08"
    assert HL7.control_id(document) == "M&7"
