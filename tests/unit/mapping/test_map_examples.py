"""Test cases of maps of a library, and expectations of single places."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.mapping import ExampleReport, FolderLibrary, run_examples, run_map_examples
from engine.syntax import Diagnostics
from tests.unit.mapping.reading import mapping

LIBRARY = """\
from: {format: hl7v2}
to: {format: fhir}
maps:
  Name:
    args: [xpn]
    out: {family: = $xpn.1, given: [= $xpn.2], use: = $xpn.7 | table('Use')}
  Visit:
    args: [pv1, pid]
    out:
      resourceType: Encounter
      status: in-progress
      subject: {reference: "= concat('Patient/', $pid.3.1)"}
      participant:
        - individual: {$refer: Doctor, $with: {xcn: = $pv1.7}}
  Doctor:
    args: [xcn]
    key: [= $xcn.1]
    out: {resourceType: Practitioner, name: [{family: = $xcn.2}]}
  Names:
    args: [xpn]
    out: [= $xpn.1, = $xpn.2]
  Number:
    args: [nm]
    out: = $nm | number
tables:
  Use: {unmapped: error, rows: {L: official, M: maiden}}
"""
CASES = """\
cases:
  - name: a whole output
    map: Name
    with: {xpn: BERG^ANNA^^^^^M}
    expect: {family: BERG, given: [ANNA], use: maiden}
  - name: of an input
    map: Name
    input: PID|||||HOLM^PER^^^^^L
    with: {xpn: = PID-5}
    contains: {family: HOLM, use: official, given: = given}
    absent: [period]
  - name: the same changed
    map: Name
    input: {base: of an input, set: {PID-5.1: LIND}}
    with: {xpn: = PID-5}
    contains: {family: LIND}
  - name: segments
    map: Visit
    with: {pid: 'PID|||77', pv1: 'PV1||I|||||D9^GRÖN'}
    contains:
      Encounter.subject.reference: Patient/77
      (Encounter.participant.individual | resolve).name.family: GRÖN
      contained[1].id: = (Encounter.participant.individual | resolve).id
  - name: a list
    map: Names
    with: {xpn: A^B}
    contains: {'[2]': B}
  - name: a single value
    map: Number
    with: {nm: 07.50}
    expect: 7.50
  - name: an error
    map: Name
    with: {xpn: A^^^^^^Z}
    error: {code: R201, rule: Name.use}
"""


def run(folder: Path, cases: str) -> ExampleReport:
    (folder / "people.yaml").write_text(LIBRARY)
    path = folder / "people.test.yaml"
    path.write_text(cases)
    library = FolderLibrary(folder)
    file = library.load("people", Diagnostics())
    assert file is not None
    return run_map_examples(path, file, library)


def test_maps_are_called_alone(tmp_path: Path) -> None:
    report = run(tmp_path, CASES)
    assert not report.diagnostics.items
    assert {case.name: case.problems for case in report.cases} == {
        "a whole output": (),
        "of an input": (),
        "the same changed": (),
        "segments": (),
        "a list": (),
        "a single value": (),
        "an error": (),
    }
    assert report.coverage == 1.0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("use: maiden}", "use: official}", '-  "use": "official"'),
        ("given: = given", "given: = family", "given: expected 'HOLM', came 'PER'"),
        ("given: = given", "given: = use.none", "given: expected a text, came 'PER'"),
        ("reference: Patient/77", "reference: Patient/78", "came 'Patient/77'"),
        ("name.family: GRÖN", "name.family: BLOM", "came 'GRÖN'"),
        ("absent: [period]", "absent: [use]", "use: expected to be absent, came 'official'"),
        ("rule: Name.use", "rule: Name.family", "came from Name.use"),
    ],
)
def test_what_is_said_when_a_case_of_a_map_fails(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in CASES
    report = run(tmp_path, CASES.replace(old, new, 1))
    assert not report.passed
    assert said in "\n".join(problem for case in report.cases for problem in case.problems)


@pytest.mark.parametrize(
    ("case", "code", "said"),
    [
        ("{name: a, map: Nam, with: {xpn: A}}", "M901", "'people' has no map 'Nam'"),
        ("{name: a, with: {xpn: A}}", "M901", "'map:' names a map"),
        ("{name: a, map: Name, with: {x: A}}", "M306", "map 'Name' has no argument 'x'"),
        ("{name: a, map: Name}", "M306", "map 'Name' wants 'xpn'"),
        ("{name: a, map: Name, with: {xpn: = (}}", "M101", ""),
        ("{name: a, maps: Name}", "M901", "unknown key 'maps'"),
    ],
)
def test_a_case_of_a_map_that_cannot_be_run(
    tmp_path: Path, case: str, code: str, said: str
) -> None:
    report = run(tmp_path, f"cases:\n  - {case}\n")
    assert not report.passed
    assert code in {one.code for one in report.diagnostics.items}
    assert said in "\n".join(one.message for one in report.diagnostics.items)


def test_a_case_of_a_mapping_calls_no_map(tmp_path: Path) -> None:
    path = tmp_path / "t.test.yaml"
    path.write_text("cases:\n  - {name: a, map: X, input: PID}\n")
    report = run_examples(path, mapping("out: {a: = PID-3}"))
    assert "unknown key 'map'" in "\n".join(one.message for one in report.diagnostics.items)
