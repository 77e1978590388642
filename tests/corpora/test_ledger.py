"""The ledger over every public message: an instrumented run gives what the run gives, and each
leaf of the source has one entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engine.contract import EngineError
from engine.mapping import CompiledMapping, Converter
from engine.mapping.accounting import Use, accounted
from engine.mapping.conversion import Prepared
from engine.mapping.explain import plain
from engine.mapping.leaves import placed_document

MAPPINGS = Path(__file__).parents[2] / "mappings"
MOST = 12  # of each mapping


def prepared(files: list[Path], to: str) -> Iterator[Prepared]:
    converter = Converter(MAPPINGS)
    for file in files:
        try:
            yield converter.prepare(file.read_bytes(), to)
        except EngineError:
            continue  # no mapping takes it


def check_all(every: Iterable[Prepared]) -> set[str]:
    """A few of each mapping, which is instrumented once; returns the mappings' names."""
    instrumented: dict[str, CompiledMapping] = {}
    seen: Counter[str] = Counter()
    for ready in every:
        name = ready.mapping.name
        if seen[name] == MOST:
            continue
        try:
            made = ready.mapping.apply(ready.document, ready.context)
        except EngineError:
            continue  # it lacks what the mapping demands
        seen[name] += 1
        if name not in instrumented:
            traced = ready.mapping.traced()
            assert traced is not None
            instrumented[name] = traced
        check(instrumented[name], ready, made)
    return set(seen)


def check(traced: CompiledMapping, ready: Prepared, made: Any) -> None:
    tree, found = accounted(traced, ready.document, ready.context)
    assert plain(tree) == made
    places = [leaf.place for leaf in placed_document(ready.document)[1]]
    assert [entry.place for entry in found.entries] == places
    assert len(set(places)) == len(places)
    assert all(bool(entry.rules) == (entry.use is Use.USED) for entry in found.entries)


def test_messages(hl7v2_files: list[Path]) -> None:
    assert check_all(prepared(hl7v2_files, "fhir"))


def test_bundles(fhir_files: list[Path]) -> None:
    check_all(prepared(fhir_files, "hl7v2"))
