"""The complete mappings are what the message tables and the decisions make, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.guide.__main__ import read_messages
from engine.guide.composing import compose_all, message_summary
from engine.guide.message_tables import Label, label_of, message_table, references_of
from engine.guide.messages import Composed

ROOT = Path(__file__).parents[3]
TABLES = ROOT.parent / "shared" / "corpora" / "v2-to-fhir-maps"


@pytest.fixture(scope="module")
def composed() -> list[Composed]:
    return compose_all(read_messages(TABLES), ROOT / "mappings")


def test_nothing_has_drifted(composed: list[Composed]) -> None:
    changed = [
        one.name
        for one in composed
        if (ROOT / "mappings" / f"{one.name}.yaml").read_text("utf-8") != one.text
    ]
    assert changed == [], "run python -m engine.guide (docs/guide-maps.md)"


def test_every_row_of_every_table_is_used_or_left_out_with_a_reason(
    composed: list[Composed],
) -> None:
    tables = [message_table(file, text) for file, text in read_messages(TABLES).items()]
    assert len(tables) == 13
    rows = {row for table in tables for row in table.rows}
    used = {row for one in composed for row in one.used}
    left = {row: reason for one in composed for row, reason in one.left_out.items()}
    assert rows - used - left.keys() == set()
    assert all(left.values())
    assert len(rows & used) / len(rows) > 0.8, message_summary(composed, left=True)


def test_labels_and_references_are_read_as_the_tables_write_them() -> None:
    assert label_of("Immunzation[1]") == Label("Immunization", "1")
    found = references_of(
        "Provenance[2].target=ServiceRequest[1]; Observation[1].subject.id=Patient[1].id"
    )
    assert [(str(one.origin), one.path, str(one.target)) for one in found] == [
        ("Provenance[2]", "target", "ServiceRequest[1]"),
        ("Observation[1]", "subject", "Patient[1]"),
    ]
    with pytest.raises(ValueError, match="names no resource"):
        label_of("patient")
