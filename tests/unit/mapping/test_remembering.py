"""Maps that are asked the same again: what they give stays what a first call would give."""

from __future__ import annotations

from typing import Any

import pytest

from engine.mapping import explain
from engine.mapping.runstate import MAX_STEPS
from tests.unit.mapping.reading import CONTEXT, hl7, mapped, mapping

OBX = hl7(
    "OBX|1|CWE|a^A^LN||x^X~y^Y|mg|1-2||||F",
    "OBX|2|CWE|a^A^LN||x^X~y^Y|mg|1-2||||F|||2024",
    "OBX|3|CWE|a^A^LN||x^X|mg&k|3-4",
    "OBX|4|CWE",
    "OBX|5|CWE|a^A^LN||x^X~y^Y|mg|1-2||||P",
)
MAPS = """
maps:
  C: {args: [c], out: {coding: [{code: = $c.1, display: = $c.2}], text: = $c.2}}
  D: {args: [c], out: {coding: [{code: = $c.1}], more: {of: [= $c.2]}}}
  Q: {args: [u], out: {unit: "= $u.1 ?? 'none'"}}
  Two: {args: [s], out: "= concat($s.6, '/', $s.7)"}
  Through: {args: [s], out: "= $s | each('Two')"}
  Both: {args: [s, n], out: "= concat($s.11, '-', $n)"}
  Last: {args: [s], out: "= $s.14 ?? 'never'"}
"""


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("= $o.3 | each('C') | count", [1, 1, 1, 0, 1]),
        ("= $o.5[*] | each('C') | count", [2, 2, 1, 0, 2]),
        ("= $o.5 | each('C') | count", [1, 1, 1, 0, 1]),
        ("= $o | each('Two')", ["mg/1-2", "mg/1-2", "mg/3-4", "/", "mg/1-2"]),
        ("= $o | each('Through')", ["mg/1-2", "mg/1-2", "mg/3-4", "/", "mg/1-2"]),
        ("= $o | each('Both', $o.1)", ["F-1", "F-2", "-3", "-4", "P-5"]),
        ("= $o | each('Both', $o.2)", ["F-CWE", "F-CWE", "-CWE", "-CWE", "P-CWE"]),
        ("= $o | each('Last')", ["never", "2024", "never", "never", "never"]),
        ("{$use: Q, $with: {u: = $o.6}}",
         [{"unit": "mg"}, {"unit": "mg"}, {"unit": "mg"}, {"unit": "none"}, {"unit": "mg"}]),
    ],
)  # fmt: skip
def test_each_call_gives_its_own(out: str, expected: list[Any]) -> None:
    text = f"out: {{r: [{{$for: 'o in OBX[*]', v: {_quoted(out)}}}]}}{MAPS}"
    assert [one["v"] for one in mapped(text, OBX)["r"]] == expected
    leaves = [one.value for one in explain(mapping(text), OBX, CONTEXT)]
    assert leaves == [one["unit"] if isinstance(one, dict) else str(one) for one in expected]


def test_what_is_shared_is_not_added_to() -> None:
    merged = "{$merge: [{$use: C, $with: {c: = $o.3}}, {$use: D, $with: {c: = $o.3}}, {n: = $o.1}]}"
    beside = "{n: = $o.1, coding: [{a: = $o.1}], $use: C, $with: {c: = $o.3}}"
    inside = "{$merge: [{v: \"= $o.3 | each('D')\"}, {v: {more: {of: [= $o.1]}}}]}"
    looped = "{$merge: [{$use: C, $with: {c: = $o.3}}, {$for: 'p in OBX[*]', coding: [= $p.1]}]}"
    keys = f"m: {merged}, b: {beside}, i: {inside}, l: {looped}"
    text = f"out: {{r: [{{$for: 'o in OBX[*]', {keys}}}]}}{MAPS}"
    turns = mapped(text, OBX)["r"]
    first = turns[0]
    assert first["m"] == {
        "coding": [{"code": "a", "display": "A"}, {"code": "a"}],
        "text": "A",
        "more": {"of": ["A"]},
        "n": "1",
    }
    assert first["i"]["v"] == {"coding": [{"code": "a"}], "more": {"of": ["A", "1"]}}
    for turn, number in zip(turns, "12345", strict=True):
        assert turn["m"].pop("n") == turn["b"].pop("n") == number
        if number != "4":
            assert turn["m"] == first["m"]
            assert len(turn["l"]["coding"]) == 6
            assert turn["b"] == {"coding": [{"a": number}], "text": "A"}
            assert turn["i"]["v"]["more"] == {"of": ["A", number]}


def test_resources_that_are_shared_keep_ids_of_their_own() -> None:
    text = """
out:
  resourceType: Bundle
  type: transaction
  entry:
    - $for: o in OBX[*]
      fullUrl: = urn_uuid('Observation', $o.1)
      resource: = $o.3 | each('R')
maps:
  R:
    args: [c]
    out: {resourceType: Observation, status: final, code: {text: = $c.2}}
"""
    entries = [one for one in mapped(text, OBX)["entry"] if "resource" in one]
    ids = [one["resource"]["id"] for one in entries]
    assert len(set(ids)) == 4
    assert [f"urn:uuid:{id}" for id in ids] == [one["fullUrl"] for one in entries]
    assert [f"Observation/{id}" for id in ids] == [one["request"]["url"] for one in entries]


def test_a_map_that_is_remembered_takes_no_steps() -> None:
    maps = "maps: {C: {args: [c], out: {text: = $c.1}}}"
    text = f"out: {{r: [{{$for: 'o in OBX[*]', v: \"= $o.3 | each('C')\"}}]}}\n{maps}"
    made = mapping(text)
    run = made.begin(hl7(*["OBX|1||a^A"] * 50), CONTEXT)
    for_steps = made.prepare().out(run)
    assert len(for_steps["r"]) == 50
    assert MAX_STEPS - run[8] == 51  # the turns, and the map once


def _quoted(out: str) -> str:
    return out if out.startswith("{") else f'"{out}"'
