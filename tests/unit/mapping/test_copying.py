"""`$copy` and the forms that walk a message: what passes, what is left out, who accounts for it."""

from __future__ import annotations

import pytest

from engine.contract import Document, MappingError
from engine.mapping import compile_mapping
from engine.mapping.accounting import ledger
from engine.mapping.explain import explain, plain
from engine.syntax import Diagnostics, read_yaml
from tests.unit.mapping.reading import CONTEXT, hl7, mapping

ALL = "- $for: s in segments()\n      $copy: = $s"


MAP = "out: {PID: {$use: M, $with: {x: = PID}}}\nmaps: {M: {args: [x], out: {1: = segments()}}}"


def sent(out: str, document: Document, to: str = "hl7v2", more: str = "") -> list[str]:
    """The segments behind MSH; the instrumented mapping must give the same bytes."""
    found = mapping(f"{out}\n{more}", "hl7v2", to)
    body = found.render(document, CONTEXT).body
    traced = found.traced()
    assert traced is not None
    assert found.written(plain(traced.apply(document, CONTEXT))).body == body
    return body.decode().split("\r")[1:-1]


def problems(text: str, source: str, target: str) -> Diagnostics:
    found = Diagnostics()
    head = f"mapping: t\nfrom: {{format: {source}}}\nto: {{format: {target}}}\n"
    root = read_yaml(head + text, "t.yaml", found)
    assert root is not None
    assert compile_mapping(root, diagnostics=found, name="t") is None
    return found


def passed(document: Document, to: str = "hl7v2") -> list[str]:
    return sent(f"out:\n  MSH: {{$copy: = MSH}}\n  all:\n    {ALL}", document, to)


def test_everything_passes_as_it_came() -> None:
    lines = (
        'PID|1||4^^^H&1.2&ISO~5||A\\T\\B^\\H\\x\\N\\||""',
        "OBX|1|FT|a||b\\.br\\c|",
        "ZZZ|a^b&c~d",
    )
    assert passed(hl7(*lines)) == [line.rstrip("|") for line in lines]


def test_what_a_version_does_not_have_is_left_out() -> None:
    given = hl7(
        "SFT|x",
        "PID|1|2|3^^^H^MR^^20200101||A&van^B^^^^MD^L^^c||2024|F^Female|||S&T^^U||||||||||||||||||||||99",
        "ZZZ|1",
    )
    assert passed(given, "hl7v2, version: '2.3'") == [
        "PID|1|2|3^^^H^MR||A^B^^^^MD^L||2024|F|||S^^U",
        "ZZZ|1",
    ]
    assert passed(hl7("PID|1|2|3||||2024^D"), "hl7v2, version: '2.8'") == ["PID|1||3||||2024"]
    assert passed(hl7("PID|1|2|3^4^5"), "hl7v2, version: '7'") == ["PID|1|2|3^4^5"]


def test_local_fields_stay() -> None:
    assert passed(hl7("PID|1" + "|" * 59 + "x"), "hl7v2, version: '2.3'") == [
        "PID|1" + "|" * 59 + "x"
    ]


def test_other_separators_become_the_usual_ones() -> None:
    given = hl7("MSH|*:%!|A|||||ADT*A01|1|P|2.5", "PID|1||a*b!c:d||x^y%S%z&")
    assert passed(given) == ["PID|1||a^b&c~d||x\\S\\y*z\\T\\"]
    assert passed(hl7("MSH|^~\\&#|A|||||ADT^A01|1|P|2.7", "NTE|1||a\\P\\b")) == ["NTE|1||a#b"]


def test_what_is_written_beside_is_not_copied() -> None:
    out = """out:
  MSH: {$copy: = MSH, 12: '2.8'}
  PID:
    $copy: = PID
    2: ''
    3:
      - $for: cx in PID-3[*]
        $copy: = $cx
        5: MR
    5: {$copy: = PID-5, 1: {$copy: = PID-5.1, 2: von}}
    8: = PID-30
"""
    given = hl7("PID|1|2|3^^^H^X~4||A&b&c^D||1950|F")
    assert sent(out, given) == ["PID|1||3^^^H^MR~4^^^^MR||A&von&c^D||1950"]


def test_directives_and_segments_beside() -> None:
    out = """out:
  MSH: {$copy: = MSH}
  all:
    - $for: s in segments()
      $case: = segment_name($s)
      $of:
        OBX: {$copy: = $s, NTE: {3: note}}
        PID: {PID: {$copy: = $s, $use: Two, $with: {x: = $s}}}
      $else: {$copy: = $s}
maps:
  Two: {args: [x], out: {1: two, 8: = $x.1}}
"""
    assert sent(out, hl7("PID|1||3", "OBX|1")) == ["PID|two||3|||||1", "OBX|1", "NTE|||note"]


def test_types_are_what_a_map_makes_of_them() -> None:
    to = "hl7v2, version: '2.8', types: {XTN: Phone}"
    maps = "maps: {Phone: {args: [x], out: {$copy: = $x, 12: = $x.1, 15: none}}}"
    out = f"out:\n  MSH: {{$copy: = MSH}}\n  all:\n    {ALL}"
    given = hl7("PID|1||3||||||||||77^PRN~~88", "NK1|1||||99")
    assert sent(out, given, to, maps) == [
        "PID|1||3||||||||||^PRN^^^^^^^^^^77^^^none~~^^^^^^^^^^^88^^^none",
        "NK1|1||||^^^^^^^^^^^99^^^none",
    ]


@pytest.mark.parametrize("types", ["{XTN: Nobody}", "{XYZ: Two}", "{XTN: Two}"])
def test_types_name_datatypes_and_maps(types: str) -> None:
    maps = "maps: {Two: {args: [a, b], out: {1: = $a, 2: = $b}}}"
    text = f"out:\n  MSH: {{$copy: = MSH}}\n{maps}"
    found = problems(text, "hl7v2", f"hl7v2, types: {types}")
    assert "M304" in {one.code for one in found.items}


def test_following_and_preceding_stay_in_their_part() -> None:
    out = """out:
  MSH: {$copy: = MSH}
  all:
    - $for: s in segments()
      $if: segment_name($s) == 'OBR'
      $let:
        timed: = $s | following('TQ1', 'OBR', 'ORC')
        order: = $s | preceding('ORC', 'OBR')
      OBR: {1: = $s.1, 2: = count($timed), 3: = $order.2}
"""
    given = hl7(
        "ORC|NW|a", "OBR|1", "TQ1|1", "TQ1|2", "OBR|2", "ORC|NW|b", "TQ1|3", "OBR|3", "TQ1|4"
    )
    assert sent(out, given) == ["OBR|1|2|a", "OBR|2|0", "OBR|3|1|b"]


def test_each_leaf_is_explained_and_accounted_for() -> None:
    found = mapping(
        f"out:\n  MSH: {{$copy: = MSH, 12: '2.3'}}\n  all:\n    {ALL}",
        "hl7v2",
        "hl7v2, version: '2.3'",
    )
    given = hl7("PID|1||3^^^H&1.2~4||A&b^B\\T\\C")
    shown = {
        one.target: (one.value, one.sources[0].path)
        for one in explain(found, given, CONTEXT)
        if one.sources
    }
    assert shown["all[1].PID.3[2]"] == ("4", "PID-3[2]")
    assert shown["all[1].PID.3[1].4.2"] == ("1.2", "PID-3[1].4.2")
    assert shown["all[1].PID.5[1].2"][1] == "PID-5.2"
    unused = {entry.place for entry in ledger(found, given, CONTEXT).unused}
    assert unused == {"MSH[1]-12[1].1.1", "PID[1]-5[1].1.2"}


@pytest.mark.parametrize(
    ("text", "source", "target", "code"),
    [
        ("out: {MSH: {$copy: = MSH}}", "hl7v2", "json", "M501"),
        ("out: {MSH: {$copy: = $src}}", "json", "hl7v2", "M501"),
        ("out: {MSH: {$copy: {1: a}}}", "hl7v2", "hl7v2", "M501"),
        ("out: {a: = segments()}", "json", "json", "M109"),
        ("out: {a: \"= following($src, 'A')\"}", "json", "json", "M109"),
        ("out: {a: \"= preceding($src, 'A')\"}", "json", "json", "M109"),
        (MAP, "hl7v2", "hl7v2", "M308"),
        ("out: {a: \"= following(PID, PID-3)\"}", "hl7v2", "json", "M309"),
        ("out: {a: \"= preceding(PID, PID-3)\"}", "hl7v2", "json", "M309"),
    ],
)  # fmt: skip
def test_where_they_make_no_sense(text: str, source: str, target: str, code: str) -> None:
    found: Diagnostics = problems(text, source, target)
    assert code in {one.code for one in found.items}


def test_only_parts_of_messages_are_copied() -> None:
    found = mapping("out: {MSH: {$copy: = MSH-3.1 | upper}}", "hl7v2", "hl7v2")
    with pytest.raises(MappingError, match="R306"):
        found.apply(hl7("PID|1"), CONTEXT)
