"""What fhir-to-cda writes: elements in the order of the CDA R2 schema, what the schema
requires, and rows that its references mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from engine.mapping import Converter
from tests.unit.mapping.cda_schema import breaches

ROOT = Path(__file__).parents[3] / "mappings"
SAMPLE = (ROOT / "samples/summary-of-care.json").read_bytes()


@pytest.fixture(scope="module")
def written() -> Any:
    return etree.fromstring(Converter(ROOT).convert(SAMPLE, "cda").body)


def test_elements_are_those_of_the_schema_in_its_order(written: Any) -> None:
    assert list(breaches(written)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<section><title/><code/></section>", "section: ['title', 'code']"),
        ("<section><name/></section>", "section: ['name']"),
        ("<observation/>", "observation lacks ['code']"),
    ],
)
def test_the_check_finds(text: str, problem: str) -> None:
    assert list(breaches(etree.fromstring(text))) == [problem]


def test_values_of_attributes_are_what_their_types_allow(written: Any) -> None:
    for element in written.iter(etree.Element):
        for name in ("root", "codeSystem"):
            assert set(element.get(name, "1.2")) <= set("0123456789.-abcdef")
        assert " " not in element.get("unit", "")


def test_references_to_the_narrative_have_their_row(written: Any) -> None:
    ids = [element.get("ID") for element in written.iter("{*}tr") if element.get("ID")]
    assert len(ids) == len(set(ids))
    wanted = {one.get("value") for one in written.iter("{*}reference") if one.get("value")}
    assert len(wanted) > 10
    assert {one.removeprefix("#") for one in wanted} <= set(ids)
