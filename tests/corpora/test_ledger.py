"""The ledger over every public message: an instrumented run gives what the run gives, and each
leaf of the source has one entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.contract import EngineError
from engine.mapping import Converter
from engine.mapping.accounting import Use, accounted
from engine.mapping.conversion import Prepared
from engine.mapping.explain import plain
from engine.mapping.leaves import placed_document

MAPPINGS = Path(__file__).parents[2] / "mappings"


def prepared(files: list[Path], to: str) -> Iterator[Prepared]:
    converter = Converter(MAPPINGS)
    for file in files:
        try:
            ready = converter.prepare(file.read_bytes(), to)
            ready.mapping.apply(ready.document, ready.context)
        except EngineError:
            continue  # no mapping takes it, or it lacks what one demands
        yield ready


def check(ready: Prepared) -> None:
    traced = ready.mapping.traced()
    assert traced is not None
    tree, found = accounted(traced, ready.document, ready.context)
    assert plain(tree) == ready.mapping.apply(ready.document, ready.context)
    places = [leaf.place for leaf in placed_document(ready.document)[1]]
    assert [entry.place for entry in found.entries] == places
    assert len(set(places)) == len(places)
    assert all(bool(entry.rules) == (entry.use is Use.USED) for entry in found.entries)


def test_messages(hl7v2_files: list[Path]) -> None:
    every = list(prepared(hl7v2_files, "fhir"))
    assert every
    seen: dict[str, int] = {}
    for ready in every:
        seen[ready.mapping.name] = seen.get(ready.mapping.name, 0) + 1
        if seen[ready.mapping.name] <= 6:
            check(ready)


def test_bundles(fhir_files: list[Path]) -> None:
    seen: dict[str, int] = {}
    for ready in prepared(fhir_files, "hl7v2"):
        seen[ready.mapping.name] = seen.get(ready.mapping.name, 0) + 1
        if seen[ready.mapping.name] <= 6:
            check(ready)
