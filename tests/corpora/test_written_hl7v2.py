"""Bundles of the corpora come out as the HL7 v2 that their authors expect, leaf by leaf.

Measured by shared/tools/compare_v2.py, which is used from there.  Without the corpora folder there
is nothing to compare with, and this file says so by testing nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.quality.corpora import read_pairs
from engine.contract import MapContext, MessageId, Payload
from engine.formats import FORMATS
from engine.mapping import CompiledMapping, Converter, FolderLibrary, compile_mapping
from engine.syntax import Diagnostics, read_yaml

PROJECT = Path(__file__).parents[2]
SHARED = PROJECT.parent / "shared"
MANIFEST = SHARED / "corpora" / "manifest.json"
CONTEXT = MapContext(MessageId("corpora"), datetime(2024, 1, 15, tzinfo=UTC))


def compared(pairs: list[dict[str, str]], folder: Path) -> tuple[float, float, int]:
    """Recall, precision, and how many messages have their segments in the same order."""
    manifest, result = folder / "pairs.jsonl", folder / "figures.json"
    manifest.write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    tool = SHARED / "tools" / "compare_v2.py"
    command = [sys.executable, str(tool), "--manifest", str(manifest), "--json", str(result)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    found = json.loads(result.read_text(encoding="utf-8"))
    total = found["total"]
    return total["hit"] / total["lexp"], total["hit"] / total["lprod"], found["order_ok"]


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
    mappings = {name: shipped(name) for name in ("fhir-to-oru", "fhir-to-oml")}
    produced: dict[str, list[dict[str, str]]] = {}
    for number, (corpus, bundle, message) in enumerate(pairs()):
        name = "fhir-to-oml" if b"OML^O21" in message.read_bytes() else "fhir-to-oru"
        document = FORMATS["fhir"].parse(Payload(bundle.read_bytes()))
        written = tmp_path / f"{number}.hl7"
        written.write_bytes(mappings[name].render(document, CONTEXT).body)
        pair = {"produced": str(written), "expected": str(message)}
        produced.setdefault(corpus, []).append(pair)
    recall, precision, ordered = compared(produced["reportstream-inventory"], tmp_path)
    assert recall >= 0.99
    assert precision >= 0.97
    assert ordered == 133


def test_overlays_make_what_agencies_expect(tmp_path: Path) -> None:
    """What is expected of these is what a receiver's own transformation made."""
    if not MANIFEST.exists():
        return
    converter, produced = Converter(PROJECT / "mappings"), []
    for number, pair in enumerate(read_pairs()):
        if pair.corpus == "reportstream-fhir2v2":
            assert pair.overlay is not None
            bundle = pair.source.read_bytes()
            chosen, params = pair.overlay.mapping, pair.overlay.params
            message = converter.convert(bundle, "hl7v2", mapping=chosen, params=params)
            written = tmp_path / f"{number}.hl7"
            written.write_bytes(message.body)
            produced.append({"produced": str(written), "expected": str(pair.expected)})
    recall, precision, _ = compared(produced, tmp_path)
    assert len(produced) == 15
    assert recall >= 0.97
    assert precision >= 0.95


def test_results_without_a_report_or_a_visit_are_results() -> None:
    if not MANIFEST.exists():
        return
    converter = Converter(PROJECT / "mappings")
    pair = next(pair for pair in read_pairs() if pair.corpus == "microsoft-fhir2v2")
    message = converter.convert(pair.source.read_bytes(), "hl7v2").body.decode()
    assert "|ORU^R01^ORU_R01|" in message
    assert [line[:3] for line in message.split("\r") if line] == ["MSH", "PID", "OBR", "OBX"]
