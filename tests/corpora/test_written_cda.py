"""FHIR Bundles of the corpora, and our own sample, as clinical documents: what is written keeps to
CDA's schema, and cda-to-fhir reads back what was sent."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from lxml import etree

from engine.mapping import Converter
from tests.unit.mapping.cda_schema import breaches

PROJECT = Path(__file__).parents[2]
PAIRS = PROJECT.parent / "shared" / "corpora" / "pairs" / "microsoft-cda"
OWN = PROJECT / "mappings" / "samples" / "summary-of-care.json"
KEPT: Final = {
    "AllergyIntolerance": "code",
    "Condition": "code",
    "DiagnosticReport": "code",
    "Immunization": "vaccineCode",
    "Observation": "code",
    "Procedure": "code",
    "ServiceRequest": "code",
}
"""Resources that come back, and the element that says what they are about."""


@pytest.fixture(scope="module")
def converter() -> Converter:
    return Converter(PROJECT / "mappings")


def resources(bundle: Any) -> list[Any]:
    return [entry["resource"] for entry in bundle.get("entry", []) if "resource" in entry]


def said(bundle: Any) -> set[tuple[str, str]]:
    """What the resources are about; a panel is what its parts are about, and what was entered in
    error is nothing."""
    found = set()
    for resource in resources(bundle):
        kind = resource["resourceType"]
        verified = resource.get("verificationStatus", {}).get("coding", [{}])
        if kind not in KEPT or verified[0].get("code") == "entered-in-error":
            continue
        for part in (resource, *resource.get("component", [])):
            if "component" not in part and "hasMember" not in part:
                codings = part.get(KEPT[kind], {}).get("coding", [])
                found.update(
                    (_name(kind, resource), one["code"]) for one in codings if "code" in one
                )
    return found


def _name(kind: str, resource: Any) -> str:
    """An observation of a procedure that found nothing is the procedure itself."""
    if kind != "Observation" or any(key.startswith("value") for key in resource):
        return kind
    codings = [coding for one in resource.get("category", []) for coding in one["coding"]]
    return "Procedure" if any(one["code"] == "procedure" for one in codings) else kind


@pytest.mark.parametrize("path", [OWN, *sorted(PAIRS.glob("*.json"))], ids=lambda path: path.name)
def test_there_and_back(converter: Converter, path: Path) -> None:
    body = path.read_bytes()
    written = converter.convert(body, "cda").body
    assert list(breaches(etree.fromstring(written))) == []
    assert converter.convert(body, "cda").body == written
    sent, back = orjson.loads(body), orjson.loads(converter.convert(written, "fhir").body)
    assert said(sent) - said(back) == set()
    patients = [
        next(one for one in resources(bundle) if one["resourceType"] == "Patient")
        for bundle in (sent, back)
    ]
    for key in ("identifier", "birthDate", "gender"):
        assert patients[0].get(key) == patients[1].get(key)
    names = [Counter(name.get("family") for name in one["name"]) for one in patients]
    assert names[0] == names[1]
