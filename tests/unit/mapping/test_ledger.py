"""The ledger: every leaf of a source, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from engine.contract import MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.mapping import Ledger, compile_mapping, ledger
from engine.mapping.explain import plain
from engine.syntax import Diagnostics, read_yaml

NOW = MapContext(MessageId("m"), datetime(2026, 1, 1, tzinfo=UTC))
HEADER = "MSH|^~\\&|LIS^1.2|LAB|||2026||ADT^A01|7|P|2.5.1\r"


def account(out: str, source: str, format: str = "hl7v2") -> Ledger:
    """Of a mapping to JSON whose text after ``from:`` and ``to:`` is ``out``."""
    diagnostics = Diagnostics()
    text = f"from: {{format: {format}}}\nto: {{format: json}}\n{out}"
    root = read_yaml(text, "t.yaml", diagnostics)
    assert root is not None
    mapping = compile_mapping(root, diagnostics=diagnostics)
    assert mapping is not None, diagnostics.items
    body = (HEADER + source if format == "hl7v2" else source).encode()
    document = FORMATS[format].parse(Payload(body))
    found = ledger(mapping, document, NOW)
    traced = mapping.traced()
    assert traced is not None
    assert plain(traced.apply(document, NOW)) == mapping.apply(document, NOW)
    return found


def uses(found: Ledger, prefix: str = "") -> Mapping[str, str]:
    return {one.place: str(one.use) for one in found.entries if one.place.startswith(prefix)}


def test_each_part_of_a_field_is_a_leaf_of_its_own() -> None:
    found = account("out: {id: = PID-3.1, of: = PID-3.4.2}", "PID|||1^2^^A&B&C~3||x\\T\\y| |\r")
    assert uses(found, "PID") == {
        "PID[1]-3[1].1.1": "used",
        "PID[1]-3[1].2.1": "unused",
        "PID[1]-3[1].4.1": "unused",
        "PID[1]-3[1].4.2": "used",
        "PID[1]-3[1].4.3": "unused",
        "PID[1]-3[2].1.1": "unused",
        "PID[1]-5[1].1.1": "unused",
    }
    values = {one.place: one.value for one in found.entries}
    assert values["PID[1]-5[1].1.1"] == "x&y"
    (used,) = [one for one in found.entries if one.place == "PID[1]-3[1].4.2"]
    assert used.targets == ("of",)
    assert str(used.rules[0]) == "t.yaml:3:26"
    assert [one.place for one in found.entries if one.use == "syntax"] == ["MSH[1]-1", "MSH[1]-2"]


@pytest.mark.parametrize(
    ("out", "used", "tested"),
    [
        ("{a: = PID-3}", "1", ""),
        ("{a: = PID-3 | text}", "1 2 5", ""),
        ("a: = PID-3[*] | text", "1 2 5 1' 5'", ""),
        ("a: = PID-3[.5 == 'MR'].1", "1'", "5 5'"),
        ("a: = PID-3[last].1", "1'", ""),
        ("{$if: PID-3, a: x}", "", "1"),
        ("{$if: exists(PID-3), a: x}", "", "1 2 5"),
        ("{$if: PID-3.5 == 'PI', a: = PID-3.2}", "2", "5"),
        ("{$case: = PID-3.5, $of: {PI: {a: = PID-3.1}}, $else: {a: = PID-3.2}}", "1", "5"),
        ("{$first: [{a: = PID-3.9}, {a: = PID-3.2}, {a: = PID-3.1}]}", "2", ""),
        ("{a: = PID-3.9 ?? PID-3.1}", "1", ""),
        ("{b: x, a: = try(PID-3.2 | date)}", "", "2"),
        ("{$let: {x: = PID-3}, a: = $x.2}", "2", ""),
        ("{$let: {x: = PID-3.2 | upper}, a: = $x}", "2", ""),
        ("{$let: {x: = PID-3.2 | upper, y: = $x | lower}, a: = $y}", "2", ""),
        ("{$let: {x: = PID-3.2 | upper}, a: x, b: {$if: $x == 'q', c: d}}", "", "2"),
        ("a: [{$for: 'x in PID-3[*]', b: = $x.1}]", "1 1'", ""),
        ("{a: [{$for: x in PID-3.2 | split('-'), b: = $x}]}", "2", ""),
        ("a: = PID-3[*] | each('Two')", "2", "1 1'"),
        ("{$use: Two, $with: {cx: = PID-3}}", "2", "1"),
        ("a: = PID-3[*] | each('Text') | join(' ')", "1 1'", ""),
        ("{a: '= first(PID-3[*].1)', b: '= count(PID-3[*])'}", "1", ""),
        ("a: = list(PID-3.1, PID-3.5) | join('/')", "1 5", ""),
        ("{a: = PID-5}", "", ""),
    ],
)
def test_what_was_read_is_marked_and_nothing_else(out: str, used: str, tested: str) -> None:
    maps = (
        "maps:\n  Two: {args: [cx], out: {$if: $cx.1 == 'a', two: = $cx.2}}\n"
        "  Text: {args: [cx], out: = $cx.1}\n"
    )
    found = account(f"out:\n  k: x\n  o:\n    {out}\n{maps}", "PID|||a^b-c^^^PI~d^^^^MR\r")
    names = {"[1].1.1": "1", "[1].2.1": "2", "[1].5.1": "5", "[2].1.1": "1'", "[2].5.1": "5'"}
    marked = {names[place[8:]]: use for place, use in uses(found, "PID").items()}
    assert sorted(one for one, use in marked.items() if use == "used") == sorted(used.split())
    assert sorted(one for one, use in marked.items() if use == "tested") == sorted(tested.split())


def test_escaped_text_is_the_leaf_it_was() -> None:
    found = account(
        "out:\n  a: = OBX-5.2\n  b: = OBX[2]-5", "OBX|||||a\\T\\^b\\F\\c\rOBX|||||\\E\\\r"
    )
    assert uses(found, "OBX") == {
        "OBX[1]-5[1].1.1": "unused",
        "OBX[1]-5[1].2.1": "used",
        "OBX[2]-5[1].1.1": "used",
    }


def test_json_leaves_of_every_type() -> None:
    found = account(
        "out:\n  a: = $src.o[*].n\n  b: = $src.flag\n  c: = $src.deep\n  d: {$if: $src.no, e: f}",
        '{"o": [{"n": 1.50, "m": 2}, {"n": 3}], "flag": true, "no": false, "deep": {"x": ["y"]}, '
        '"rest": "z", "blank": " ", "null": null}',
        "json",
    )
    assert uses(found) == {
        "o[1].n": "used",
        "o[1].m": "unused",
        "o[2].n": "used",
        "flag": "used",
        "no": "tested",
        "deep.x[1]": "used",
        "rest": "unused",
    }
    assert found.mapped == pytest.approx(5 / 7)


def test_xml_text_and_attributes() -> None:
    found = account(
        "out:\n  a: = /o/i[.@k == '2']/t\n  b: = /o/i.@k\n  c: = /o/w | text",
        '<o z="9"><i k="1"><t>x</t></i><i k="2"><t>y</t></i><w>p<b>q</b></w></o>',
        "xml",
    )
    assert uses(found) == {
        "/o/@z": "unused",
        "/o/i[1]/@k": "used",
        "/o/i[1]/t": "unused",
        "/o/i[2]/@k": "tested",
        "/o/i[2]/t": "used",
        "/o/w": "used",
        "/o/w/b": "used",
    }


@pytest.mark.parametrize(
    ("out", "used", "tested"),
    [
        ("a: = jsonpath('$.o[*].n')", "o[1].n o[2].n", ""),
        ("a: = jsonpath('$.o[?@.m == \"y\"].n') | text", "o[2].n", ""),
        ("a: = jsonpath('$.flag')", "flag", ""),
        ("a: = jsonpath('$.o[0]')", "o[1].m o[1].n", ""),
        ("{$if: jsonpath('$.flag'), a: b}", "", "flag"),
        ("{$let: {x: \"= jsonpath('$.o[1]')\"}, a: = $x.n}", "o[2].n", ""),
        ("a: [{$for: \"x in jsonpath('$.o[*]')\", b: = $x.m | upper}]", "o[1].m o[2].m", ""),
        ("a: = $src.o[2] | jsonpath('$.m')", "o[2].m", ""),
    ],
)
def test_what_jsonpath_read(out: str, used: str, tested: str) -> None:
    source = '{"o": [{"n": 1.50, "m": "x"}, {"n": 3, "m": "y"}], "flag": true}'
    found = account(f"out:\n  k: x\n  o:\n    {out}\n", source, "json")
    marked = uses(found)
    assert sorted(one for one, use in marked.items() if use == "used") == used.split()
    assert sorted(one for one, use in marked.items() if use == "tested") == tested.split()


@pytest.mark.parametrize(
    ("out", "used"),
    [
        ("a: = fhirpath('Patient.name.given')", "name[1].given[1] name[1].given[2]"),
        ("a: = fhirpath(\"name.where(use = 'usual').family\")", "name[2].family"),
        ("a: = fhirpath('active')", "active"),
        ("a: = fhirpath('birthDate')", "birthDate"),
        ("a: = fhirpath('name[1]') | jsonpath('$.family')", "name[2].family"),
        ("a: = fhirpath('name.count()')", ""),  # computed: from no leaf by itself
        ("a: = fhirpath('active and name.exists()')", ""),
    ],
)
def test_what_fhirpath_read(out: str, used: str) -> None:
    source = (
        '{"resourceType": "Patient", "active": true, "birthDate": "1961-02-03", "name": '
        '[{"given": ["A", "B"]}, {"use": "usual", "family": "C"}]}'
    )
    marked = uses(account(f"out:\n  {out}\n", source, "fhir"))
    assert sorted(one for one, use in marked.items() if use == "used") == used.split()


@pytest.mark.parametrize(
    ("out", "used"),
    [
        ("a: = xpath('//t')", "/o/i[1]/t /o/i[2]/t"),
        ("a: = xpath('/o/i[@k=\"2\"]/t')", "/o/i[2]/t"),
        ("a: = xpath('/o/i/@k')", "/o/i[1]/@k /o/i[2]/@k"),
        ("a: = xpath('/o/i[2]/t/text()')", "/o/i[2]/t"),
        ("a: [{$for: i in xpath('/o/i'), b: = $i/t}]", "/o/i[1]/t /o/i[2]/t"),
        ("a: = xpath('count(//i)')", ""),
    ],
)
def test_what_xpath_read(out: str, used: str) -> None:
    source = '<o z="9"><i k="1"><t>x</t></i><i k="2"><t>y</t></i><w>p</w></o>'
    marked = uses(account(f"out:\n  {out}\n", source, "xml"))
    assert sorted(one for one, use in marked.items() if use == "used") == used.split()
