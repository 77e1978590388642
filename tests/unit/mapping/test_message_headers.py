"""MSH-9 and MSH-12 come from `to:` where the mapping leaves them out."""

from __future__ import annotations

import pytest

from tests.unit.mapping.reading import CONTEXT, json, mapping


def header(to: str, own: str = "") -> list[str]:
    found = mapping(f"out: {{MSH: {{3: A, 10: '1'{own}}}}}", "json", f"hl7v2{to}")
    body = found.render(json({}), CONTEXT).body.decode()
    fields = body.removesuffix("\r").split("|")
    return [fields[8] if len(fields) > 8 else "", fields[11] if len(fields) > 11 else ""]


@pytest.mark.parametrize(
    ("to", "own", "expected"),
    [
        ("", "", ["", ""]),
        (", message: ORU_R01, version: 2.5.1", "", ["ORU^R01^ORU_R01", "2.5.1"]),
        (", message: ADT^A08", "", ["ADT^A08^ADT_A01", ""]),
        (", message: ADT_A01", ", 9: {2: A08}", ["ADT^A08^ADT_A01", ""]),
        (", message: ORU_R01, version: 2.3", "", ["ORU^R01", "2.3"]),
        (", message: ORU_R01, version: 2.8", ", 9: X, 12: '2.4'", ["X", "2.4"]),
        (", message: ACK", "", ["ACK", ""]),
        (", message: ZLB_Z01", "", ["ZLB^Z01^ZLB_Z01", ""]),
    ],
)
def test_header(to: str, own: str, expected: list[str]) -> None:
    assert header(to, own) == expected
