"""Code tables in files of their own: what the rows become, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.mapping import CompiledMapping, FolderLibrary, compile_mapping
from engine.syntax import Diagnostics, read_yaml
from tests.unit.mapping.reading import CONTEXT, hl7

MAPPING = """
mapping: one
from: {format: hl7v2}
to: {format: json}
out:
  ward: = PV1-3.1 | coding('Wards')
  back: = PV1-3.2 | reverse('Wards')
tables:
  Wards: {TABLE}
"""
CSV = "\ufefffrom,to,display,system\nW1,north,North wing,\nW2,south,,urn:other\nW3,==x,,\n"
CONCEPT_MAP = {
    "resourceType": "ConceptMap",
    "group": [
        {
            "source": "urn:wards",
            "target": "urn:places",
            "element": [
                {
                    "code": "W1",
                    "target": [
                        {"code": "near", "equivalence": "wider"},
                        {"code": "north", "display": "North wing", "equivalence": "equivalent"},
                    ],
                },
                {"code": "W2", "target": [{"code": "no", "equivalence": "unmatched"}]},
                {"code": "W3", "noMap": True},
            ],
            "unmapped": {"mode": "fixed", "code": "it's elsewhere"},
        },
        {"source": "urn:beds", "target": "urn:places", "element": []},
    ],
}


def compiled(folder: Path, table: str, **files: str) -> tuple[CompiledMapping | None, Diagnostics]:
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(text, "utf-8")
    diagnostics = Diagnostics()
    root = read_yaml(MAPPING.replace("{TABLE}", table), "one.yaml", diagnostics)
    assert root is not None
    mapping = compile_mapping(root, diagnostics=diagnostics, library=FolderLibrary(folder))
    return mapping, diagnostics


def ward(mapping: CompiledMapping | None, code: str, back: str = "") -> Any:
    assert mapping is not None
    return mapping.apply(hl7(f"PV1|1|I|{code}^{back}"), CONTEXT)


def test_a_csv_gives_code_display_and_system(tmp_path: Path) -> None:
    table = "{to: 'urn:places', unmapped: error, file: wards.csv}"
    mapping, diagnostics = compiled(tmp_path, table, wards__csv=CSV)
    assert not diagnostics.items
    north = {"system": "urn:places", "code": "north", "display": "North wing"}
    assert ward(mapping, "W1", "north") == {"ward": north, "back": "W1"}
    assert ward(mapping, "W2", "north")["ward"] == {"system": "urn:other", "code": "south"}
    assert ward(mapping, "W3", "north")["ward"]["code"] == "==x"


def test_rows_of_the_table_win_and_the_version_knows_the_file(tmp_path: Path) -> None:
    table = "{unmapped: drop, file: wards.csv, rows: {W1: mine}}"
    first, _ = compiled(tmp_path, table, wards__csv=CSV)
    assert ward(first, "W1", "mine") == {"ward": {"code": "mine"}, "back": "W1"}
    second, _ = compiled(tmp_path, table, wards__csv=CSV.replace("south", "down"))
    assert first is not None
    assert second is not None
    assert first.version != second.version


@pytest.mark.parametrize("source", ["from: 'urn:wards', ", ""])
def test_a_concept_map_brings_its_target_and_what_it_says_of_unmapped_codes(
    tmp_path: Path, source: str
) -> None:
    mapping, diagnostics = compiled(
        tmp_path, f"{{{source}file: wards.json}}", wards__json=json.dumps(CONCEPT_MAP)
    )
    assert not diagnostics.items
    assert ward(mapping, "W1", "north")["ward"] == {
        "system": "urn:places", "code": "north", "display": "North wing",
    }  # fmt: skip
    for unmatched in ("W2", "W3", "W9"):
        assert ward(mapping, unmatched, "north")["ward"]["code"] == "it's elsewhere"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("gone.csv", None, "no such file"),
        ("../out.csv", None, "no such file"),
        ("a.csv", "from;to\nA;B\n", "unknown column"),
        ("a.csv", "from,to\n", "no columns"),
        ("a.csv", "from,display\nA,B\n", "no columns"),
        ("a.csv", "from,to\nA,\n", "row 2 lacks"),
        ("a.csv", "from,to\nA,B\nA,C\n", "row 3 repeats"),
        ("a.json", "{", "no JSON"),
        ("a.json", '{"resourceType": "ValueSet"}', "no ConceptMap"),
        ("a.json", '{"resourceType": "ConceptMap"}', "no group"),
    ],
)
def test_what_is_no_code_table_is_refused(
    tmp_path: Path, name: str, text: str | None, problem: str
) -> None:
    files = {} if text is None else {name.replace(".", "__"): text}
    mapping, diagnostics = compiled(tmp_path, f"{{unmapped: drop, file: {name}}}", **files)
    assert mapping is None
    (found,) = [one for one in diagnostics.items if one.code == "M206"]
    assert problem in found.message
    assert found.position.line == 9
