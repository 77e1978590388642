"""``$merge``, and maps whose output is a list."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract import MappingError
from engine.mapping import explain
from engine.mapping.fusing import fuse
from engine.mapping.merging import merging
from tests.unit.mapping.reading import CONTEXT, hl7, mapped, mapping

MESSAGE = hl7("PID|1||77~88||JONES^WILLIAM", "OBX|1", "OBX|2")
MAPS = """
maps:
  A: {args: [x], out: {k: = $x.1, l: [{a: = $x.1}], o: {p: 1, q: {r: 1}}}}
  B: {args: [x], out: {k: other, l: [{b: = $x.1}], o: {p: 2, q: {s: 2}}, m: n}}
  L: {args: [x], out: [{a: = $x.1}, {b: = $x.1}]}
  E: {args: [x], out: {k: = $x.9}}
  T: {args: [x], out: [= $x.1]}
"""


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (
            "{$merge: [{$use: A, $with: {x: = PID-3}}, {$use: B, $with: {x: = PID-3}}]}",
            {
                "k": "77",
                "l": [{"a": "77"}, {"b": "77"}],
                "o": {"p": "1", "q": {"r": "1", "s": "2"}},
                "m": "n",
            },
        ),
        ("{k: mine, $merge: [{$use: A, $with: {x: = PID-3}}], l: [z]}",
         {"k": "mine", "l": ["z", {"a": "77"}], "o": {"p": "1", "q": {"r": "1"}}}),
        ("{$merge: [{$use: E, $with: {x: = PID-3}}, {$if: PID-9, a: b}, {c: d}]}", {"c": "d"}),
        ("{z: 1, a: {$merge: [{$use: E, $with: {x: = PID-3}}]}}", {"z": "1"}),
        ("{$use: E, $with: {x: = PID-3}, $merge: [{c: d}, {c: e, f: g}]}", {"c": "d", "f": "g"}),
        ("{a: {$if: PID-9, $merge: [{b: c}]}, d: e}", {"d": "e"}),
        ("{$let: {p: = PID-3}, $merge: [{a: = $p}, {a: x, b: = $p}]}", {"a": "77", "b": "77"}),
        ("{a: [{$for: 'o in OBX[*]', $merge: [{n: = $o.1}, {m: = $index}]}]}",
         {"a": [{"n": "1", "m": 1}, {"n": "2", "m": 2}]}),
        ("{$merge: [{a: x}, {a: [y]}, {a: [z]}, {a: w}, {b: {c: d}}, {b: [{e: f}]}]}",
         {"a": ["x", "y", "z", "w"], "b": [{"c": "d"}, {"e": "f"}]}),
        ("{$merge: [{k: v}, {$for: 'o in OBX[*]', a: [= $o.1]}, {$use: L, $with: {x: = PID-3}}]}",
         {"k": "v", "a": ["1", "2", "77"], "b": "77"}),
        ("{a: [{$use: L, $with: {x: = PID-3}}, z]}", {"a": [{"a": "77"}, {"b": "77"}, "z"]}),
        ("{a: [{$use: L, $with: {x: = PID-3}}]}", {"a": [{"a": "77"}, {"b": "77"}]}),
        ("{a: \"= PID-3[*] | each('L')\"}",
         {"a": [{"a": "77"}, {"b": "77"}, {"a": "88"}, {"b": "88"}]}),
        ("{a: \"= PID-3 | each('L')\"}", {"a": [{"a": "77"}, {"b": "77"}]}),
    ],
)  # fmt: skip
def test_outputs(out: str, expected: Any) -> None:
    text = f"out: {out}{MAPS}"
    assert mapped(text, MESSAGE) == expected
    assert mapped(text, MESSAGE) == expected, "nothing of a run stays in the mapping"
    leaves = [one.value for one in explain(mapping(text), MESSAGE, CONTEXT)]
    assert sorted(leaves) == sorted(_leaves(expected))


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [str(value)]


def test_segments_of_an_hl7_message_are_merged_field_by_field() -> None:
    text = """
out:
  MSH: {9: {1: ADT, 2: A01}}
  PID: {$merge: [{3: [{1: = PID-3.1}]}, {3: [{1: b}], 5: {1: c}}, {5: {1: x, 2: d}}]}
"""
    tree = mapped(text, MESSAGE, "hl7v2")
    assert tree["PID"] == {3: [{1: "77"}, {1: "b"}], 5: {1: "c", 2: "d"}}


def test_a_part_that_is_no_object_stops_the_mapping() -> None:
    with pytest.raises(MappingError) as caught:
        mapped("out: {$merge: [{a: b}, {$use: T, $with: {x: = PID-3}}]}" + MAPS, MESSAGE)
    assert caught.value.info.code == "R306"
    assert "77" not in str(caught.value)


def test_the_fused_form_does_the_same() -> None:
    code = merging(((lambda run: {"a": [1]}, "x", True), (lambda run: None, "y", False)))
    fused = fuse(code)
    assert fused is not code
    assert fused([]) == code([]) == {"a": [1]}
