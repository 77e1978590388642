"""Every CDA document and fragment of the corpora becomes a valid R4 transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.formats.fhir.validation import validate_resource
from engine.formats.json import read_json
from engine.mapping import Converter

ROOT = Path(__file__).parents[2]
CORPORA = ROOT.parent / "shared/corpora"
FOLDERS = ("cda", "pairs/microsoft-cda", "pairs/nurra-cda-entry")
FILES = sorted(path for folder in FOLDERS for path in (CORPORA / folder).rglob("*.xml"))
CONVERTER = Converter(ROOT / "mappings")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem[:40])
def test_a_document_becomes_a_valid_transaction(path: Path) -> None:
    bundle = read_json(CONVERTER.convert(path.read_bytes(), "fhir").body)
    assert [str(finding) for finding in validate_resource(bundle)] == []
    urls = [entry["request"]["url"] for entry in bundle["entry"] if "id" in entry["resource"]]
    assert len(urls) == len(set(urls))
    assert len(bundle["entry"]) > 0


def test_the_corpora_are_there() -> None:
    assert len(FILES) > 40
