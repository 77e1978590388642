"""Public test messages: ../shared/corpora beside the repository, or a few samples in it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPORA = ROOT.parent / "shared" / "corpora"
SAMPLES = ROOT / "engine" / "demo" / "samples"


def pytest_report_header() -> str:
    if CORPORA.is_dir():
        return f"corpora: {CORPORA}"
    return f"corpora: not here; only the samples in {SAMPLES.relative_to(ROOT)}"


@pytest.fixture(scope="session")
def hl7v2_files() -> list[Path]:
    """Every HL7 v2 message there is, in a fixed order."""
    files = sorted((CORPORA if CORPORA.is_dir() else SAMPLES).rglob("*.hl7"))
    assert files
    return files


@pytest.fixture(scope="session")
def fhir_files() -> list[Path]:
    """Every FHIR resource in JSON, and a small one of ours."""
    public = (path for path in CORPORA.rglob("*.json") if path.name != "manifest.json")
    return [Path(__file__).parent / "observation.json", *sorted(public)]
