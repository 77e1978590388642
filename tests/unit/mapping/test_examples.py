"""Test files of mappings: what passes, what is said when one does not, and coverage."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.mapping import CompiledMapping, run_examples
from tests.unit.mapping.reading import mapping

MAPPING = """\
params: {site: text}
out:
  id: = PID-3.1!
  site: = $site
  sex: = PID-8 | table('Sex')
  never: = PID-30
tables:
  Sex: {unmapped: error, rows: {M: male}}
"""
TEST = """\
mapping: t
cases:
  - name: whole
    input: |
      MSH|^~\\&|A|B|C|D|20240115||ADT^A01|1|P|2.5.1
      PID|||77||||19610615|M
    params: {site: north}
    expect: {id: '77', site: north, sex: male}
  - name: parts
    input: {base: whole, set: {PID-3.1: '88', PID-8: ''}}
    params: {site: south}
    contains: {id: '88', site: south}
    absent: [sex, never]
  - name: unknown code
    input: {base: whole, set: {PID-8: Z}}
    params: {site: north}
    error: {code: R201, rule: sex}
"""


def test_cases_and_coverage(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(TEST)
    report = run_examples(path, mapping(MAPPING))
    assert [(case.name, case.problems) for case in report.cases] == [
        ("whole", ()),
        ("parts", ()),
        ("unknown code", ()),
    ]
    assert report.passed
    assert [rule.path for rule in report.never_wrote] == ["never"]
    assert report.coverage == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sex: male", "sex: female", '-  "sex": "female"\n+  "sex": "male"'),
        ("{id: '88'", "{id: '99'", "id: expected '99', came '88'"),
        ("absent: [sex", "absent: [site", "site: expected to be absent, came 'south'"),
        ("code: R201", "code: R101", "error R101 was expected"),
        ("rule: sex", "rule: id", "the error was expected at id, and came from sex"),
        ("PID-8: Z", "PID-8: M", "an error was expected"),
        ("PID-8: ''", "PID-8: Z", "R201: code not in table Sex (t.yaml:8:10)"),
    ],
)
def test_what_is_said_when_a_case_fails(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(TEST.replace(old, new, 1))
    report = run_examples(path, mapping(MAPPING))
    assert not report.passed
    assert problem in "\n".join(said for case in report.cases for said in case.problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mapping: t\n", "'cases'"),
        ("cases:\n  - input: x\n", "a case is a mapping with a name"),
        ("cases:\n  - {name: a, inputs: x}\n", "unknown key 'inputs'"),
        ("cases:\n  - {name: a, input: {base: b}}\n", "no case above has this name"),
        ("cases:\n  - {name: a, input: {file: gone.hl7}}\n", "'input' is text"),
        ("cases:\n  - {name: a, input: nonsense}\n", "the input cannot be read"),
    ],
)
def test_a_file_that_cannot_be_run(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(text)
    report = run_examples(path, mapping(MAPPING))
    assert not report.passed
    assert said in "\n".join(one.message for one in report.diagnostics.items)
    assert {one.code for one in report.diagnostics.items} == {"M901"}


def test_update_rewrites_the_expected_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    text = TEST.replace("expect: {id: '77', site: north, sex: male}", "expect: {file: e/w.json}")
    path.write_text(text)
    compiled = mapping(MAPPING)
    assert not run_examples(path, compiled).passed
    updated = run_examples(path, compiled, update=True)
    assert [case.updated for case in updated.cases] == [True, False, False]
    assert '"sex": "male"' in (tmp_path / "e" / "w.json").read_text()
    assert path.read_text() == text
    again = run_examples(path, compiled)
    assert again.passed


def test_hl7v2_output_is_compared_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(
        'cases:\n  - name: a\n    input: \'{"id": "7"}\'\n    expect: |\n'
        "      MSH|^~\\&|X\n      PID|||7\n    contains: {PID-3: '7'}\n    absent: [PID-5]\n"
    )
    compiled = mapping("out: {MSH: {3: X}, PID: {3: = $src.id}}", "json", "hl7v2")
    report = run_examples(path, compiled)
    assert [case.problems for case in report.cases] == [()]


XML_MAPPING = """\
out:
  p:Order:
    '@id': = /o:order/number.@a!
    p:text: = /o:order/number
"""
XML_TESTS = """\
mapping: t
cases:
  - name: whole
    input: <order xmlns="urn:o"><number a="1">7</number></order>
    expect: >
      <soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:q="urn:q">
      <soap:Body> <p:Order xmlns:p="urn:p" id="1"><p:text>7</p:text></p:Order></soap:Body>
      </soap:Envelope>
  - name: as a tree
    input: {base: whole, set: {/order/number: 8, $src/number/@a: 2}}
    expect: {p:Order: {'@id': 2, p:text: 8}}
  - name: without
    input: {base: whole, set: {/order/number: ''}}
    error: {code: R101, rule: p:Order.@id}
  - name: parts
    input: {base: whole, set: {/order/extra: x}}
    contains: {soap:Envelope/soap:Body/p:Order/@id: 1, /*/p:text: 7}
    absent: [soap:Envelope/soap:Header, /*/p:none]
"""


def test_xml_in_and_out(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(XML_TESTS)
    made = mapping(XML_MAPPING, "xml, namespaces: {o: 'urn:o'}", "soap, namespaces: {p: 'urn:p'}")
    report = run_examples(path, made)
    assert [(case.name, case.problems) for case in report.cases] == [
        ("whole", ()),
        ("as a tree", ()),
        ("without", ()),
        ("parts", ()),
    ]
    path.write_text(XML_TESTS.replace("p:text: 8", "p:text: 9"))
    ((_, problem),) = [
        (c.name, c.problems[0]) for c in run_examples(path, made).cases if c.problems
    ]
    assert "-      <p:text>9</p:text>" in problem
    path.write_text(XML_TESTS.replace("/order/extra", "/order/nothing/deep"))
    assert not run_examples(path, made).passed


TABLE = ("delimited, separator: ';', header: false, columns: [id, name, ward]",
         "delimited, separator: '|', columns: [nr, station]")  # fmt: skip
TABLE_MAPPING = """
out:
  rows:
    - $for: row in $src.rows[*]
      nr: = $row.id
      station: = $row.ward | upper
"""
TABLE_TEST = """
cases:
  - name: whole
    input: |
      1;Li;icu
      2;"Mo;ser";er
    contains: {'rows[1].nr': '1', 'rows[2].station': ER}
    absent: ['rows[3].nr', 'rows[1].other']
  - name: changed
    input: {base: whole, set: {'rows[2].ward': b2, 'rows[1].id': '', '$src.rows[2][1]': '9;9'}}
    contains: {'rows[2].station': B2, 'rows[2].nr': 9;9}
  - name: the case before is as it was
    input: {base: whole, set: {}}
    contains: {'rows[2].station': ER}
"""
ASTM_MAPPING = """
out:
  H: {5: = H-5.1}
  P: {4: = P-4}
  R:
    - $for: r in R[*]
      3: {4: = $r.3.4}
      4: = $r.4
"""
ASTM_TEST = r"""
cases:
  - name: whole
    input: |
      H|\\^&|||XN^1
      P|1||4711
      R|1|^^^WBC|6.2
      R|2|^^^RBC|4.5
    contains: {P-4: '4711', 'R[2]-3.4': RBC, 'R[2]-4': '4.5', H-5: XN}
    absent: [P-6, 'R[3]-4']
  - name: changed
    input: {base: whole, set: {P-4: 8|8, 'R[2]-4': '', 'R[1]-3.4': PLT, 'R[1]-9': N}}
    contains: {P-4: 8|8, 'R[1]-3.4': PLT}
    absent: ['R[2]-4']
  - name: a field with its components
    input: {base: whole, set: {'R[1]-3': {4: P&T^, 5: x}}}
    contains: {'R[1]-3.4': P&T^}
""".replace("\\\\", "\\")


RECORDS = (
    (mapping(TABLE_MAPPING, *TABLE), TABLE_TEST),
    (mapping(ASTM_MAPPING, "astm", "astm"), ASTM_TEST),
)


@pytest.mark.parametrize(("made", "cases"), RECORDS)
def test_tables_and_records(tmp_path: Path, made: CompiledMapping, cases: str) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(cases)
    report = run_examples(path, made)
    assert report.diagnostics.items == ()
    assert {case.name: case.problems for case in report.cases if not case.passed} == {}


@pytest.mark.parametrize(
    ("number", "place"),
    [
        *((0, place) for place in ("rows[3].ward", "rows[2].station", "rows[2][4]", "ward")),
        *((1, place) for place in ("R[3]-4", "R[2]-1", "H-2", "R.4")),
    ],
)
def test_what_cannot_be_set(tmp_path: Path, number: int, place: str) -> None:
    made, cases = RECORDS[number]
    path = tmp_path / "t.test.yaml"
    path.write_text(cases.replace("set: {", f"set: {{'{place}': x, ", 1))
    report = run_examples(path, made)
    assert [one.message for one in report.diagnostics.items] == [f"'{place}' cannot be set"]


FIELDS = r"""
cases:
  - name: whole
    input: |
      MSH|^~\&|A
      PID|||1^2^3~4
      OBX|1||X
    contains: {MSH-3: A}
  - name: changed
    input:
      base: whole
      set:
        PID-3: [{1: '7^', 4: {1: H, 2: '1.2&3'}, 5: '""'}, '8']
        OBX[1]-3: {2: y}
        PID-5: {1: Li, 2: Na}
        MSH-3: b^
    expect: |
      MSH|^~\&|b\S\
      PID|||7\S\^^^H&1.2\T\3^""~8||Li^Na
      OBX|1||^y
"""
COPYING = "out: {MSH: {$copy: = MSH}, PID: {$copy: = PID}, OBX: {$copy: = OBX}}"


def test_a_whole_field_with_components_and_repetitions(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(FIELDS)
    report = run_examples(path, mapping(COPYING, "hl7v2", "hl7v2"))
    assert report.diagnostics.items == ()
    assert [case.problems for case in report.cases] == [(), ()]


def test_parts_of_a_field_are_set_in_hl7_v2_and_astm_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text(
        "cases:\n  - {name: a, input: '{\"id\": \"7\"}', contains: {id: '7'}}\n"
        "  - {name: b, input: {base: a, set: {id: {1: x}}}, absent: [id]}\n"
    )
    report = run_examples(path, mapping("out: {id: = $src.id}", "json", "json"))
    assert [one.message for one in report.diagnostics.items] == ["'id' cannot be set"]
