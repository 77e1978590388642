"""Maps of the library at work: what they give is what the guide says, and valid FHIR R4."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.formats.fhir.validation import validate_resource
from engine.mapping.conversion import Converter

MAPPINGS = Path(__file__).parents[3] / "mappings"
MAPPING = """\
mapping: pieces
from: {format: hl7v2}
to: {format: fhir}
import: [lib/v2/segments/pid, lib/v2/segments/pv1, lib/v2/segments/obx]
out:
  resourceType: Bundle
  type: collection
  entry:
    - fullUrl: = urn_uuid('Patient', PID-3.1)
      resource: {$use: PID_Patient, $with: {pid: = PID}}
    - fullUrl: = urn_uuid('Encounter', PV1-19.1)
      resource: {$use: PV1_Encounter, $with: {pv1: = PV1}}
    - $for: obx in OBX[*]
      fullUrl: = urn_uuid('Observation', $index)
      resource: {$use: OBX_Observation, $with: {obx: = $obx}}
"""


def segment(name: str, fields: dict[int, str]) -> str:
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


MESSAGE = "\r".join(
    [
        r"MSH|^~\&|LIS|LAB|CAREBUS|HOSPITAL|20260131093000||ORU^R01^ORU_R01|1|P|2.5.1",
        segment(
            "PID",
            {
                3: "4711^^^HOSP&1.2.840.1&ISO^MR~99^^^OTHER",
                5: "van Dyck&van&Dyck^Anna^M^Jr^Dr^^L",
                7: "196106151230",
                8: "F",
                11: "1 Main St^Apt 2^Town^ST^12345^USA^H",
                13: "^PRN^PH^^1^410^5551234^9",
                14: "^WPN^Internet^a@example.org",
                15: "eng^British^HL70296",
                16: "M^Married^HL70002",
                19: "123456789",
                29: "20260101",
                30: "Y",
            },
        ),
        segment(
            "PV1",
            {
                2: "I",
                3: "WARD^12^B^HOSP^^^MAIN",
                7: "5^Welby^Marcus^^^Dr^^^HOSP&1.2.840.1&ISO",
                19: "V1^^^HOSP",
                44: "20260131090000",
            },
        ),
        segment(
            "OBX",
            {2: "NM", 3: "718-7^Hemoglobin^LN^HGB^Hb^L", 5: "12.50", 6: "g/dL^^UCUM", 11: "F"},
        ),
        segment("OBX", {2: "SN", 3: "X^Titer^L", 5: "^1^:^128", 11: "F"}),
        segment(
            "OBX",
            {2: "NM", 3: "Y^Y^L", 5: ">100", 11: "X", 14: "20260131", 16: "6^Doe^Jane"},
        ),
        "",
    ]
)


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    root = tmp_path_factory.mktemp("mappings")
    shutil.copytree(MAPPINGS / "lib" / "v2", root / "lib" / "v2")
    (root / "pieces.yaml").write_text(MAPPING)
    bundle = json.loads(Converter(root).convert(MESSAGE, "fhir", mapping="pieces").body)
    found: dict[str, list[Any]] = {}
    for entry in bundle["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def test_it_is_valid(resources: dict[str, list[Any]]) -> None:
    required = "a required element is missing"  # Encounter.status and such: the message's part
    findings = [
        str(finding)
        for of_type in resources.values()
        for resource in of_type
        for finding in validate_resource(resource)
        if required not in str(finding)
    ]
    assert findings == []


def test_a_patient(resources: dict[str, list[Any]]) -> None:
    (patient,) = resources["Patient"]
    first, second, ssn = patient["identifier"]
    assert (first["system"], first["value"]) == ("urn:oid:1.2.840.1", "4711")
    assert first["type"]["coding"][0]["code"] == "MR"
    assert second["system"] == "urn:id:OTHER"
    assert ssn["system"] == "http://hl7.org/fhir/sid/us-ssn"
    (name,) = patient["name"]
    assert name["family"] == "van Dyck"
    assert [one["valueString"] for one in name["_family"]["extension"]] == ["van", "Dyck"]
    assert (name["use"], name["prefix"], name["suffix"]) == ("official", ["Dr"], ["Jr"])
    assert patient["birthDate"] == "1961-06-15"
    assert patient["_birthDate"]["extension"][0]["valueDateTime"].startswith("1961-06-15T12:30")
    (married,) = patient["maritalStatus"]["coding"]
    assert married["system"].endswith("v3-MaritalStatus")
    known, own = patient["communication"][0]["language"]["coding"]
    assert (known["system"], known["code"]) == ("urn:ietf:bcp:47", "en")
    assert (own["code"], own["display"]) == ("eng", "British")
    home, work = patient["telecom"]
    assert (home["system"], home["use"], home["value"]) == ("phone", "home", "+1 410 5551234 X9")
    assert (work["system"], work["use"], work["value"]) == ("email", "work", "a@example.org")
    assert "deceasedBoolean" not in patient
    assert patient["deceasedDateTime"] == "2026-01-01"


def test_an_encounter(resources: dict[str, list[Any]]) -> None:
    (encounter,) = resources["Encounter"]
    assert encounter["class"]["code"] == "IMP"
    assert encounter["status"] == "in-progress"
    assert encounter["participant"][0]["type"][0]["coding"][0]["code"] == "ATND"
    values = [place["identifier"][0]["value"] for place in resources["Location"]]
    assert sorted(values) == ["12", "B", "HOSP", "MAIN", "WARD"]
    assert {"partOf" in place for place in resources["Location"]} == {True, False}


def test_observations(resources: dict[str, list[Any]]) -> None:
    number, titer, text = resources["Observation"]
    assert number["valueQuantity"] == {
        "value": 12.5,
        "unit": "g/dL",
        "system": "http://unitsofmeasure.org",
        "code": "g/dL",
    }
    assert [one["code"] for one in number["code"]["coding"]] == ["718-7", "HGB"]
    assert titer["valueRatio"]["denominator"]["value"] == 128
    assert text["valueString"] == ">100"
    assert (text["status"], text["effectiveDateTime"]) == ("cancelled", "2026-01-31")
    assert resources["PractitionerRole"][0]["practitioner"]["reference"].startswith("urn:uuid:")
