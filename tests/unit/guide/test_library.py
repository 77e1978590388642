"""The library of the guide is what its tables and the patches make, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.guide.__main__ import read_tables, summary
from engine.guide.library import Library, build

ROOT = Path(__file__).parents[3]
TABLES = ROOT.parent / "shared" / "corpora" / "v2-to-fhir-maps"
SHIPPED = ROOT / "mappings" / "lib" / "v2"
BY_HAND = {"systems.yaml"}


@pytest.fixture(scope="module")
def library() -> Library:
    return build(read_tables(TABLES))


def test_nothing_has_drifted(library: Library) -> None:
    shipped = {
        str(path.relative_to(SHIPPED))
        for path in SHIPPED.rglob("*.yaml")
        if path.relative_to(SHIPPED).parts[0] != "own"
        and path.name not in BY_HAND
        and not path.name.endswith(".test.yaml")
    }
    assert shipped == set(library.files)
    changed = [
        name for name, text in library.files.items() if (SHIPPED / name).read_text("utf-8") != text
    ]
    assert changed == [], "run python -m engine.guide (docs/guide-maps.md)"


def test_how_much_of_the_guide_is_there(library: Library) -> None:
    for kind, found in library.coverage.items():
        done = found.compiled + found.by_hand
        assert done + found.narrative + len(found.left) == found.rows, kind
        assert done / (found.rows - found.narrative) >= 0.96, summary(library.coverage, left=True)
