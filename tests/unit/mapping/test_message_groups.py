"""Groups of the message's structure as paths and loops, in the fused form and in the traced one."""

from __future__ import annotations

from typing import Any

import pytest

from engine.formats.hl7v2 import parse
from engine.mapping.explain import plain, trace
from tests.unit.mapping.reading import CONTEXT, mapping

MESSAGE = """\
MSH|^~\\&|A|B|C|D|2024||ORU^R01|1|P|2.3
PID|1||p1
NTE|1||about the patient
PV1|1|I
ORC|NW|o1
OBR|1|||WBC
NTE|1||about the order
OBX|1|NM|a||1
NTE|1||about the result
OBX|2|NM|b||2
OBR|2|||CRP
OBX|1|NM|c||3
ZXX|zz
PID|2||p2
OBR|1|||X
"""


def mapped(out: str, message: str = MESSAGE) -> Any:
    found = mapping(out, target="json")
    document = parse(message.replace("\n", "\r").encode())
    tree = found.apply(document, CONTEXT)
    traced = found.traced()
    assert traced is not None
    assert plain(trace(traced, document, CONTEXT)) == tree
    return tree


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("exists(PATIENT)", True),
        ("exists(SPECIMEN)", False),
        ("count(ORDER_OBSERVATION[*])", 3),
        ("count(PATIENT_RESULT[2].ORDER_OBSERVATION[*])", 1),
        ("ORDER_OBSERVATION[2].OBR-4", "CRP"),
        ("ORDER_OBSERVATION[last].PID-3", "p2"),
        ("ORDER_OBSERVATION[.OBR-4 == 'CRP'].OBSERVATION[*].OBX-5", ["3"]),
        ("PATIENT.NTE-3", "about the patient"),
        ("ORDER_OBSERVATION.NTE[*]-3", ["about the order"]),
        ("ORDER_OBSERVATION[*].OBX[*]-3", ["a", "b", "c"]),
        ("exists(ORDER_OBSERVATION) and not exists(INSURANCE)", True),
    ],
)
def test_paths(expression: str, value: object) -> None:
    assert mapped(f'out: {{v: "= {expression}"}}') == {"v": value}


def test_loops_in_loops() -> None:
    found = mapped(
        """
out:
  - $for: o in ORDER_OBSERVATION[*]
    patient: = PID-3
    order: = ORC-2
    z: = ZXX-1
    note: = NTE-3
    results:
      - $for: x in $o.OBSERVATION[*]
        code: = OBX-3
        test: = OBR-4
        patient: = PID-3
        note: = $x.NTE[*] | each('Note')
maps:
  Note: {args: [n], out: {text: = $n.3}}
"""
    )
    assert found == [
        {
            "patient": "p1",
            "order": "o1",
            "note": "about the order",
            "results": [
                {
                    "code": "a",
                    "test": "WBC",
                    "patient": "p1",
                    "note": [{"text": "about the result"}],
                },
                {"code": "b", "test": "WBC", "patient": "p1"},
            ],
        },
        {
            "patient": "p1",
            "z": "zz",
            "results": [{"code": "c", "test": "CRP", "patient": "p1"}],
        },
        {"patient": "p2"},
    ]


def test_a_group_as_an_argument_and_as_a_value_with_a_name() -> None:
    found = mapped(
        """
let: {first: "= ORDER_OBSERVATION[1]"}
out:
  order: {$use: Order, $with: {o: = $first}}
  segments:
    - $for: o in group('OBR')
      n: = count($o.OBX[*])
      pid: = PID-3
  inner:
    - $for: r in PATIENT_RESULT[*]
      each:
        - $for: o in group('OBR')
          test: = OBR-4
          pid: = PID-3
maps:
  Order:
    args: [o]
    out:
      test: = $o.OBR-4
      patient: = $o.PID-3
      results:
        - $for: x in $o.OBSERVATION[*]
          code: = $x.OBX-3
"""
    )
    assert found["order"] == {
        "test": "WBC",
        "patient": "p1",
        "results": [{"code": "a"}, {"code": "b"}],
    }
    assert found["segments"] == [
        {"n": 2, "pid": "p1"},
        {"n": 1, "pid": "p1"},
        {"n": 0, "pid": "p2"},
    ]
    assert found["inner"] == [
        {"each": [{"test": "WBC", "pid": "p1"}, {"test": "CRP", "pid": "p1"}]},
        {"each": [{"test": "X", "pid": "p2"}]},
    ]


def test_the_mapping_says_the_structure_of_messages_that_do_not() -> None:
    source = "hl7v2, message: [ORU_R01]"
    found = mapping('out: {n: "= count(OBSERVATION[*])"}', source, "json")
    document = parse(MESSAGE.replace("ORU^R01", "ZRU^Z01").replace("\n", "\r").encode())
    assert found.apply(document, CONTEXT) == {"n": 3}
    assert mapped('out: {n: "= count(OBSERVATION[*])"}', "MSH|^~\\&|||||||ZZZ\nOBX|1\n") == {"n": 0}
