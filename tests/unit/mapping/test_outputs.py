"""What the output tree becomes: missing values, directives, maps, tables, targets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.contract import MapContext, MappingError
from engine.formats import FORMATS
from engine.formats.null import NULL
from tests.unit.mapping.reading import CONTEXT, fhir, hl7, json, mapped, mapping

MESSAGE = hl7(
    "PID|1||77^^^A~88^^^B||JONES^WILLIAM^A|\"\"|19610615|M",
    "OBX|1|NM|GLU||5.4|mmol/L",
    "OBX|2|ST|TXT||fine",
    "OBX|3|XX|ODD||1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("out: {a: = PID-9, b: x}", {"b": "x"}),
        ("out: {a: {b: {c: = PID-9}}, d: x}", {"d": "x"}),
        ("out: {a: [{b: = PID-9}], d: x}", {"d": "x"}),
        ("out: {a: = PID-6, d: x}", {"d": "x"}),  # explicit null: nothing to create in FHIR
        ("out: {a: true, b: 1, c: == x, d: 'true'}",
         {"a": True, "b": "1", "c": "= x", "d": "true"}),
        ("out: {a: = 1.50, b: = 1 == 1}", {"a": Decimal("1.50"), "b": True}),
        ("out: {a: '= PID-8'}", {"a": "M"}),
        ("out: {a: {x: y}, b: [x, y], c: = PID-8}", {"a": {"x": "y"}, "b": ["x", "y"], "c": "M"}),
        ("out: {a: [= PID-8, x]}", {"a": ["M", "x"]}),
        ("out: {x: 1, b: = PID-9, a: = PID-8, y: 2}", {"x": "1", "a": "M", "y": "2"}),
        ("out:\n  a: [{$for: 'x in PID-3[*]', n: = $index, v: = $x.1}]",
         {"a": [{"n": 1, "v": "77"}, {"n": 2, "v": "88"}]}),
        ("out:\n  a:\n    $for: x in PID-3[*]\n    v: = $x.4", {"a": [{"v": "A"}, {"v": "B"}]}),
        ("out:\n  a:\n    - $for:\n        - x in PID-3[*]\n        - o in OBX[*]\n"
         "      v: = concat($x.1, $o.1)",
         {"a": [{"v": v} for v in ("771", "772", "773", "881", "882", "883")]}),
        ("out:\n  a: [{$for: 'o in OBX[*]', $let: {t: = $o.2}, $if: $t == 'NM', v: = $t}]",
         {"a": [{"v": "NM"}]}),
        ("out: {a: {$if: PID-9, b: x}, c: y}", {"c": "y"}),
        ("out: {a: {$if: not PID-9, b: x}}", {"a": {"b": "x"}}),
        ("out: {$case: = PID-8, $of: {F|X: {s: w}, M: {s: m}}, $else: {s: u}, t: x}",
         {"t": "x", "s": "m"}),
        ("out: {a: {$case: = PID-8, $of: {F: female, M: male}}}", {"a": "male"}),
        ("out: {a: {$case: = PID-9, $of: {F: female}, $else: = PID-3}}", {"a": "77"}),
        ("out: {a: {$case: = PID-9, $of: {F: female}}, b: x}", {"b": "x"}),
        ("out: {a: {$first: [= PID-9, = PID-8, x]}}", {"a": "M"}),
        ("out: {a: {$first: [{b: = PID-9}, {c: x}]}}", {"a": {"c": "x"}}),
        ("out: {$use: Name, $with: {n: = PID-5}, use: x}\nmaps:\n"
         "  Name: {args: [n], out: {use: y, family: = $n.1, given: '= list($n.2, $n.3)'}}",
         {"use": "x", "family": "JONES", "given": ["WILLIAM", "A"]}),
        ("out:\n  a: = PID-3[*] | each('Id')\n  b: = PID-3 | each('Id')\nmaps:\n"
         "  Id: {args: [x], out: {v: = $x.1}}",
         {"a": [{"v": "77"}, {"v": "88"}], "b": {"v": "77"}}),
        ("out: {a: \"= PID-3[*] | each('Id', 'z')\"}\nmaps:\n"
         "  Id: {args: [x, y], out: '= concat($x.1, $y)'}",
         {"a": ["77z", "88z"]}),
        ("let:\n  id: = PID-3[2]\nout: {a: = $id.1, b: = $id.4, c: = $id}",
         {"a": "88", "b": "B", "c": "88"}),
        ("out: [{a: = PID-8}, {a: = PID-9}]", [{"a": "M"}]),
    ],
)  # fmt: skip
def test_out(out: str, expected: Any) -> None:
    assert mapped(out, MESSAGE) == expected


@pytest.mark.parametrize(
    ("policy", "unknown"),
    [
        ("drop", None),
        ("pass", "ODD"),
        ("= 'other'", "other"),
        ("\"= concat('x-', $code)\"", "x-ODD"),
    ],
)
def test_unmapped_codes(policy: str, unknown: str | None) -> None:
    text = (
        "out:\n  x: y\n  known: = OBX-3 | table('T')\n  odd: = OBX[3]-3 | table('T')\n"
        "  all: = OBX[*]-3 | table('T')\n"
        f"tables:\n  T: {{unmapped: {policy}, rows: {{GLU: g, TXT: t}}}}"
    )
    found = mapped(text, MESSAGE)
    assert found["known"] == "g"
    assert found.get("odd") == unknown
    assert found["all"] == ["g", "t", *([unknown] if unknown else [])]


def test_unmapped_error_names_table_and_place_and_not_the_code() -> None:
    text = "out:\n  a: = OBX[3]-3 | table('T')\ntables:\n  T: {unmapped: error, rows: {GLU: g}}"
    with pytest.raises(MappingError) as caught:
        mapped(text, MESSAGE)
    assert caught.value.info.code == "R201"
    assert caught.value.info.location == "t.yaml:5:8"
    assert "ODD" not in f"{caught.value} {caught.value.info}"


def test_coding_and_reverse() -> None:
    text = (
        "out: {a: = PID-8 | coding('S'), b: = 'male' | reverse('S'), c: = OBX-3 | coding('S')}\n"
        "tables:\n  S:\n    to: urn:s\n    unmapped: drop\n"
        "    rows: {M: {code: male, display: Male}, m: male, F: {code: f, system: 'urn:t'}}\n"
        "    reverse: {male: M}"
    )
    assert mapped(text, MESSAGE) == {
        "a": {"system": "urn:s", "code": "male", "display": "Male"},
        "b": "M",
    }


def test_raise_says_its_literal_text() -> None:
    with pytest.raises(MappingError) as caught:
        mapped("out: {a: x, b: {$if: not PID-9, $raise: no account}}", MESSAGE)
    assert caught.value.info.code == "R102"
    assert caught.value.info.summary == "no account"


def test_nothing_at_all_is_an_error() -> None:
    with pytest.raises(MappingError) as caught:
        mapped("out: {a: = PID-9}", MESSAGE)
    assert caught.value.info.code == "R103"


def test_a_scalar_beside_other_keys_cannot_be_merged() -> None:
    with pytest.raises(MappingError) as caught:
        mapped("out: {$first: [= PID-8], a: x}", MESSAGE)
    assert caught.value.info.code == "R306"


def test_parameters_are_typed_and_required() -> None:
    text = "params: {n: number, b: boolean, t: text}\nout: {n: = $n + 1, b: = $b, t: = $t}"
    assert mapped(text, MESSAGE, n="4", b="true", t="x") == {"n": 5, "b": True, "t": "x"}
    with pytest.raises(MappingError) as caught:
        mapped(text, MESSAGE, n="four", b=True, t="x")
    assert caught.value.info.code == "R403"
    compiled = mapping(text)
    assert compiled.wrong_params({"n": 1, "t": "x", "z": 1}) == (
        "parameter 'b' is missing",
        "no parameter 'z'",
    )


def test_hl7v2_target_keeps_explicit_null_and_escapes() -> None:
    text = (
        "out:\n"
        "  MSH: {3: CAREBUS, 9: {1: ADT, 2: A08}, 10: X1, 12: '2.5.1'}\n"
        "  PID:\n"
        "    3:\n"
        "      - {$for: 'x in PID-3[*]', 1: = $x.1, 4: = $x.4}\n"
        "    5: {1: \"= concat(PID-5.1, '|x')\"}\n"
        "    6: = PID-6\n"
        "  OBX: {$for: 'o in OBX[*]', 1: = $index, 3: = $o.3}\n"
    )
    body = mapping(text, target="hl7v2").render(MESSAGE, CONTEXT).body.decode()
    assert body.split("\r")[1:] == [
        'PID|||77^^^A~88^^^B||JONES\\F\\x|""',
        "OBX|1||GLU",
        "OBX|2||TXT",
        "OBX|3||ODD",
        "",
    ]


def test_json_to_json_copies_and_keeps_null() -> None:
    document = json({"a": {"b": [1, {"c": " "}], "d": None}, "e": None})
    tree = mapped("out: {x: = $src.a, y: = $src.e}", document, target="json")
    assert tree == {"x": {"b": [1], "d": NULL}, "y": NULL}
    tree["x"]["b"].append(2)
    assert document.value["a"]["b"] == [1, {"c": " "}]  # type: ignore[attr-defined]


def test_fhir_to_hl7v2() -> None:
    document = fhir(
        {"resourceType": "Patient", "id": "p", "name": [{"family": "O'Neil", "given": ["A", "B"]}]},
        {"resourceType": "ServiceRequest", "subject": {"reference": "Patient/p"}, "status": "x"},
    )
    text = (
        "let: {patient: = (ServiceRequest.subject | resolve)!}\n"
        "out:\n  PID:\n    5:\n      - $for: n in $patient.name[*]\n        1: = $n.family\n"
        "        2: = $n.given[1]\n        3: = $n.given[2]\n"
    )
    assert mapped(text, document, target="hl7v2") == {"PID": {5: [{1: "O'Neil", 2: "A", 3: "B"}]}}


def test_outputs_are_never_shared() -> None:
    compiled = mapping("out: {a: {b: [x, y], c: {d: e}}, f: = PID-8}")
    first = compiled.apply(MESSAGE, CONTEXT)
    first["a"]["b"].append("z")
    first["a"]["c"]["d"] = "changed"
    assert compiled.apply(MESSAGE, CONTEXT)["a"] == {"b": ["x", "y"], "c": {"d": "e"}}


def test_the_version_is_that_of_the_content() -> None:
    one = mapping("out: {a: = PID-8}  # a comment")
    same = mapping("out:\n  a: = PID-8\n")
    other = mapping("out: {a: = PID-7}")
    assert one.version == same.version != other.version


def test_loops_within_loops_end() -> None:
    segments = [f"OBX|{n}|ST|A" for n in range(200)]
    loops = "".join(f"      - v{n} in OBX[*]\n" for n in range(5))
    text = f"out:\n  a:\n    $for:\n{loops}    x: = concat($v0.1, $v1.1, $v2.1, $v3.1, $v4.1)\n"
    with pytest.raises(MappingError) as caught:
        mapped(text, hl7(*segments))
    assert caught.value.info.code == "R305"


def test_paths_read_twice_are_read_anew_in_each_turn() -> None:
    text = (
        "out:\n  a:\n    - $for: g in group('OBX')\n      x: = OBX-3\n      y: = OBX-3\n"
        "      z: = $g.OBX-1\n  b:\n    - {$for: 'o in OBX[*]', x: = $o.3, y: = $o.3}\n"
    )
    found = mapped(text, MESSAGE)
    assert [(e["x"], e["y"]) for e in found["a"]] == [("GLU",) * 2, ("TXT",) * 2, ("ODD",) * 2]
    assert [(e["x"], e["y"]) for e in found["b"]] == [("GLU",) * 2, ("TXT",) * 2, ("ODD",) * 2]


def test_context_is_all_a_mapping_knows() -> None:
    context = MapContext(CONTEXT.message_id, CONTEXT.now, params={})
    compiled = mapping("out: {a: = $now, b: = $message.id, c: = $channel, d: = PID-8}")
    assert compiled.apply(MESSAGE, context) == compiled.apply(MESSAGE, context)
    payload = compiled.render(MESSAGE, context)
    assert FORMATS["fhir"].write(compiled.apply(MESSAGE, context)).body == payload.body


@pytest.mark.parametrize(
    ("out", "kept"),
    [
        ("{a: '= list(PID-5.2, PID-5.3)'}", [NULL, "W"]),
        ("{a: [= PID-5.2, = PID-5.3]}", [NULL, "W"]),
        ("{a: '= PID-6[*]', b: [= PID-6]}", [NULL, "x"]),
        ("{a: '= PID-6[*] | squeeze'}", [NULL, "x"]),
        ("{a: \"= PID-6[*] | each('M')\"}\nmaps: {M: {args: [x], out: = $x.1}}", [NULL, "x"]),
        ("{$let: {x: '= PID-6[*]'}, a: = $x}", [NULL, "x"]),
        ("{$let: {x: '= PID-6[*]'}, a: [= $x, y]}", [NULL, "x", "y"]),
    ],
)
def test_a_list_for_fhir_holds_no_null(out: str, kept: list[Any]) -> None:
    message = hl7('PID|1||77||Jones^""^W|""~x')
    assert mapped(f"out: {out}", message, "json")["a"] == kept
    wanted = [item for item in kept if item is not NULL]
    assert mapped(f"out: {out}", message)["a"] == wanted
    assert mapped(f"out: {out}", message) == {"a": wanted}


def test_a_line_that_is_null_stays_where_the_target_has_nulls() -> None:
    message = hl7('PID|1||77||Jones^""')
    assert mapped("out: {a: [= PID-5.2]}", message, "json") == {"a": [NULL]}
    with pytest.raises(MappingError):
        mapped("out: {a: [= PID-5.2], b: '= list(PID-5.2)'}", message)
