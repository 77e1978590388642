"""What each path finds, in every format."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.formats.null import NULL
from tests.unit.mapping.reading import fhir, hl7, json, value

MESSAGE = hl7(
    "PID|1||77^^^HIS&1.2.3&ISO^MR~88^^^~99^^^B^SS||Müller\\T\\Sons^Anna^^^^^L~M^A||"
    '19610615|""|||Main St 1^^Town| |',
    "PV1|1|I|W1^R2^B3",
    "OBX|1|NM|GLU^Glucose^LN||5.4|mmol/L",
    "OBX|2|ST|TXT||a\\.br\\b~c",
    "ZA1|x|y&z",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("PID-3", "77"),
        ("PID-3.1", "77"),
        ("PID-3.4", "HIS"),
        ("PID-3.4.1", "HIS"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-3.6.3", None),
        ("PID-3.2", None),
        ("PID-3[2].1", "88"),
        ("PID-3[last].1", "99"),
        ("PID-3[4].1", None),
        ("PID-3[*].1", ["77", "88", "99"]),
        ("PID-3[*]", ["77", "88", "99"]),
        ("PID-3[.5 == 'SS'].1", "99"),
        ("PID-3[.5 == 'XX'].1", None),
        ("PID-3[exists(.5)][*].1", ["77", "99"]),
        ("PID-3[*][3].4.1", ["B"]),
        ("PID-5.1", "Müller&Sons"),
        ("PID-8", NULL),
        ("PID-8.1", NULL),
        ("PID-8.2", None),
        ("PID-12", None),
        ("PID-39", None),
        ("PV1-3.3", "B3"),
        ("OBX-5", "5.4"),
        ("OBX[2]-5", "a\nb"),
        ("OBX[2]-5[*]", ["a\nb", "c"]),
        ("OBX[*]-3.1", ["GLU", "TXT"]),
        ("OBX[.2 == 'ST']-3", "TXT"),
        ("OBX[last]-1", "2"),
        ("ZA1-2.1.2", "z"),
        ("NK1-2", None),
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-9.2", "A01"),
        ("count(OBX[*])", 2),
        ("PID-3 | text", "77^^^HIS&1.2.3&ISO^MR"),
        ("PID-3.4 | text", "HIS&1.2.3&ISO"),
        ("exists(PV1)", True),
        ("exists(NK1)", False),
        ("exists(PID-8)", False),
        ("is_null(PID-8)", True),
        ("group('OBX')[2].OBX-3", "TXT"),
    ],
)
def test_hl7v2(path: str, expected: Any) -> None:
    found = value(path, MESSAGE)
    assert found is expected if expected is NULL else found == expected


ORDER = json(
    {
        "order": {
            "number": "A1",
            "items": [{"sku": "x", "n": 2}, {"sku": "y", "n": Decimal("1.50")}, {"sku": " "}],
            "urgent": False,
            "note": None,
            "empty": "",
            "odd-key": "o",
            "患者": "王",
        }
    }
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$src.order.number", "A1"),
        ("$src.order.items[*].sku", ["x", "y"]),
        ("$src.order.items.sku", "x"),
        ("$src.order.items[2].sku", "y"),
        ("$src.order.items[last].sku", None),
        ("$src.order.items[.n == 2].sku", "x"),
        ("$src.order.items[.n < 2].sku", "y"),
        ("$src.order.items[9].sku", None),
        ("$src.order.urgent", False),
        ("$src.order.note", NULL),
        ("$src.order.empty", None),
        ("$src.order.nothing.below", None),
        ("$src.order.'odd-key'", "o"),
        ("$src.order.患者", "王"),
        ("$src.order.items[*].n | text", ["2", "1.50"]),
    ],
)
def test_json(path: str, expected: Any) -> None:
    found = value(path, ORDER)
    assert found is expected if expected is NULL else found == expected


BUNDLE = fhir(
    {
        "resourceType": "Patient",
        "id": "p",
        "name": [{"use": "usual", "family": "B"}, {"use": "official", "family": "A"}],
        "deceasedBoolean": True,
    },
    {"resourceType": "Observation", "id": "o1", "subject": {"reference": "Patient/p"},
     "valueQuantity": {"value": Decimal("5.40")}},
    {"resourceType": "Observation", "id": "o2", "subject": {"reference": "urn:uuid:1"},
     "valueString": "x"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Patient.name[.use == 'official'].family", "A"),
        ("Patient.name.family", "B"),
        ("Patient.deceased", True),
        ("Observation[*].id", ["o1", "o2"]),
        ("Observation[2].value", "x"),
        ("Observation.value.value | text", "5.40"),
        ("(Observation.subject | resolve).id", "p"),
        ("(Observation[2].subject | resolve).name[1].family", "B"),
        ("Encounter.id", None),
        ("count(Observation[*])", 2),
        ("$src.type", "collection"),
    ],
)
def test_fhir(path: str, expected: Any) -> None:
    assert value(path, BUNDLE) == expected


def test_separators_of_the_message_count() -> None:
    message = hl7("MSH|*~\\&|A|B|C|D|20240115||ADT*A01|1|P|2.5.1", "PID|||7*8^9|")
    assert value("PID-3.2", message) == "8^9"


ORU = hl7(
    "PID|||P1",
    "PV1|1|I",
    "ORC|RE|O1",
    "OBR|1|O1||T1",
    "OBX|1|ST|A",
    "NTE|1||n",
    "ORC|RE|O2",
    "OBR|2|O2||T2",
    "OBX|1|ST|B",
    "OBX|2|ST|C",
    "PID|||P2",
    "OBR|3|O3||T3",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("group('OBR')[*].OBR-4", ["T1", "T2", "T3"]),
        ("group('OBR')[2].OBX[*]", 2),
        ("group('OBR')[1].ORC-2", "O1"),
        ("group('OBR')[2].ORC-2", "O2"),
        ("group('OBR')[3].ORC-2", None),
        ("group('OBR')[1].PID-3", "P1"),
        ("group('OBR')[3].PID-3", "P2"),
        ("group('OBR')[3].PV1-2", None),
        ("group('OBR')[1].NTE-3", "n"),
        ("group('ORC')[2].OBX[2]-3", "C"),
        ("group('PID')[2].OBR-4", "T3"),
    ],
)
def test_groups_keep_orders_and_patients_apart(path: str, expected: Any) -> None:
    """HL7 2.5.1 ch. 7.3.1: ORC belongs to the OBR that follows; PID begins another patient."""
    if isinstance(expected, int):
        assert value(f"count({path})", ORU) == expected
    else:
        assert value(path, ORU) == expected
