"""Bundles of the corpora come out as the HL7 v2 that their authors expect, leaf by leaf.

Measured by shared/tools/compare_v2.py, which is used from there.  Without the corpora folder there
is nothing to compare with, and this file says so by testing nothing.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.contract import MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.mapping import CompiledMapping, FolderLibrary, compile_mapping
from engine.syntax import Diagnostics, read_yaml

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared"
MANIFEST = SHARED / "corpora" / "manifest.json"
CONTEXT = MapContext(MessageId("corpora"), datetime(2024, 1, 15, tzinfo=UTC))
IGNORED = {"MSH-2", "MSH-7", "MSH-10", "SFT"}


def compare_v2() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_v2", SHARED / "tools" / "compare_v2.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shipped(name: str) -> CompiledMapping:
    diagnostics = Diagnostics()
    text = (PROJECT / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")
    root = read_yaml(text, f"mappings/{name}.yaml", diagnostics)
    assert root is not None
    library = FolderLibrary(PROJECT / "mappings")
    found = compile_mapping(root, diagnostics=diagnostics, library=library, name=name)
    assert found is not None
    return found


def pairs() -> list[tuple[str, Path, Path]]:
    """Corpus, Bundle and expected message of each pair that can be read so."""
    found = []
    for pair in json.loads(MANIFEST.read_text(encoding="utf-8")):
        one, other = (SHARED / "corpora" / pair[end] for end in ("input", "expected"))
        if pair["direction"] == "v2<->fhir" or pair["direction"] == "fhir->v2":
            bundle, message = (other, one) if one.suffix == ".hl7" else (one, other)
            found.append((pair["corpus"], bundle, message))
    return found


def test_bundles_become_the_expected_messages(tmp_path: Path) -> None:
    if not MANIFEST.exists():
        return
    compare = compare_v2()
    mappings = {name: shipped(name) for name in ("fhir-to-oru", "fhir-to-oml")}
    sums: dict[str, Counter[str]] = {}
    ordered: Counter[str] = Counter()
    written = tmp_path / "written.hl7"
    for corpus, bundle, message in pairs():
        name = "fhir-to-oml" if b"OML^O21" in message.read_bytes() else "fhir-to-oru"
        document = FORMATS["fhir"].parse(Payload(bundle.read_bytes()))
        written.write_bytes(mappings[name].render(document, CONTEXT).body)
        segments: dict[str, dict[str, Any]]
        segments, same_order = compare.compare(str(written), str(message), IGNORED)
        ordered[corpus] += same_order
        for counts in segments.values():
            sums.setdefault(corpus, Counter()).update(
                {key: counts[key] for key in ("hit", "lexp", "lprod")}
            )
    inventory = sums["reportstream-inventory"]
    assert inventory["hit"] / inventory["lexp"] >= 0.99
    assert inventory["hit"] / inventory["lprod"] >= 0.97
    assert ordered["reportstream-inventory"] >= 133
    # Expected here is what each receiver's own overlay makes of it.
    sites = sums["reportstream-fhir2v2"]
    assert sites["hit"] / sites["lexp"] >= 0.85
    assert sites["hit"] / sites["lprod"] >= 0.83
