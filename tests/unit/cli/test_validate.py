"""``carebus validate``: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Carebus

WRONG = '{"resourceType": "Patient", "gender": "SECRET", "name": {}}'


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "right.json").write_text('{"resourceType": "Patient", "gender": "female"}')
    (tmp_path / "wrong.json").write_text(WRONG)
    (tmp_path / "order.json").write_text('{"count": "two"}')
    (tmp_path / "schema.json").write_text('{"properties": {"count": {"type": "integer"}}}')
    (tmp_path / "nothing").write_text("nothing")
    return tmp_path


def test_findings_are_places_and_no_values(carebus: Carebus, files: Path) -> None:
    found = carebus("validate", files / "right.json", files / "wrong.json")
    assert found.exit_code == 1
    lines = [line.split("\t") for line in found.stdout.splitlines()]
    assert lines[0] == ["file", "place", "problem"]
    assert [(Path(file).name, place) for file, place, _ in lines[1:]] == [
        ("wrong.json", "Patient.gender"),
        ("wrong.json", "Patient.name"),
    ]
    assert "SECRET" not in found.output


def test_nothing_is_wrong(carebus: Carebus, files: Path) -> None:
    for more in ((), ("--with", "complete"), ("--version", "R5", "--format", "fhir")):
        found = carebus("validate", files / "right.json", *more)
        assert (found.exit_code, found.stdout) == (0, "no problems\n")


def test_as_json_against_a_schema(carebus: Carebus, files: Path) -> None:
    order, schema = files / "order.json", files / "schema.json"
    found = carebus("validate", order, "--schema", schema, "--as", "json")
    assert found.exit_code == 1
    assert json.loads(found.stdout) == [
        {"file": str(order), "place": "$.count", "problem": "breaks 'type' of the schema"}
    ]


def test_what_cannot_be_read_is_a_finding(carebus: Carebus, files: Path) -> None:
    found = carebus("validate", files / "nothing")
    assert found.exit_code == 1
    assert "FORMAT-UNKNOWN" in found.stdout


@pytest.mark.parametrize(
    "arguments",
    [("nowhere.json",), ("order.json",), ("right.json", "--format", "fihr")],
    ids=["no file", "no schema", "no format"],
)
def test_a_wrong_command_line(carebus: Carebus, files: Path, arguments: tuple[str, ...]) -> None:
    assert carebus("validate", files / arguments[0], *arguments[1:]).exit_code == 2
