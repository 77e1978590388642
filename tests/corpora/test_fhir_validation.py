"""The validator against FHIR's own examples, which are valid, and against another validator."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from engine.formats.fhir.validation import validate_resource

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
OURS = Path(__file__).parent / "observation.json"
OFFICIAL = [OURS, *sorted((CORPORA / "fhir-r4").glob("*.json"))]
PAIRS = [OURS, *sorted((CORPORA / "pairs").rglob("*.json"))]


@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.stem)
def test_official_examples_are_valid(path: Path) -> None:
    assert [str(found) for found in validate_resource(json.loads(path.read_text("utf-8")))] == []


def test_same_verdict_as_another_validator() -> None:
    """Expected outputs of other engines, right and wrong: where fhir.resources (R4B) finds a
    fault, so do we; where it finds none, we find none either."""
    different = []
    for path in PAIRS:
        resource = json.loads(path.read_text("utf-8"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                get_fhir_model_class(resource["resourceType"]).model_validate(resource)
            valid = True
        except ValidationError:
            valid = False
        if valid != (validate_resource(resource) == ()):
            different.append(path.name)
    assert different == []
