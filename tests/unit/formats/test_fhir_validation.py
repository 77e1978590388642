"""Each way in which a resource can be wrong is found, at its place, and nothing else is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.formats.fhir.definitions import VERSIONS, definitions
from engine.formats.fhir.validation import validate_resource

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
    "active": True,
    "name": [
        {"use": "official", "family": "张", "given": ["三", None], "_given": [None, {"id": "g"}]}
    ],
    "gender": "female",
    "birthDate": "1961-02",
    "_birthDate": {"extension": [{"url": "http://example.org/x", "valueString": "y"}]},
    "multipleBirthInteger": 2,
    "contact": [{"relationship": [{"text": "mother"}]}],
    "generalPractitioner": [{"reference": "Practitioner/7", "type": "Practitioner"}],
    "managingOrganization": {"reference": "#o"},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Ward"}],
}
CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "clinicalStatus": {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                "code": "active",
            }
        ]
    },
    "subject": {"reference": "Patient?identifier=urn:mrn|1"},
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "WBC"},
    "valueQuantity": {"value": Decimal("6.20"), "comparator": "<"},
    "issued": "2026-01-31T09:30:00.5+08:00",
}
BUNDLE: dict[str, Any] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:0f2f1f0e-0000-4000-8000-000000000001",
            "resource": PATIENT,
            "request": {"method": "PUT", "url": "Patient/p1"},
        },
        {
            "fullUrl": "urn:uuid:0f2f1f0e-0000-4000-8000-000000000002",
            "resource": {
                **OBSERVATION,
                "subject": {"reference": "urn:uuid:0f2f1f0e-0000-4000-8000-000000000001"},
            },
            "request": {"method": "POST", "url": "Observation"},
        },
    ],
}
PARAMETERS: dict[str, Any] = {
    "resourceType": "Parameters",
    "parameter": [{"name": "p", "resource": PATIENT, "part": [{"name": "q", "valueCode": "a b"}]}],
}
RIGHT = (PATIENT, CONDITION, OBSERVATION, BUNDLE, PARAMETERS)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", RIGHT, ids=lambda resource: resource["resourceType"])
def test_nothing_is_said_of_what_is_right(resource: dict[str, Any], version: str) -> None:
    assert validate_resource(resource, version=version) == ()


WRONG: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (PATIENT, {"birthdate": "1961"}, "Patient.birthdate", "no such element"),
    (PATIENT, {"deceasedString": "x"}, "Patient.deceasedString", "no such element"),
    (PATIENT, {"_name": [{"id": "x"}]}, "Patient._name", "no such element"),
    (PATIENT, {"fhir_comments": ["x"]}, "Patient.fhir_comments", "no such element"),
    (PATIENT, {"name": {"family": "x"}}, "Patient.name", "a list is wanted"),
    (PATIENT, {"name": []}, "Patient.name", "empty list"),
    (PATIENT, {"name": [{}]}, "Patient.name[0]", "empty object"),
    (PATIENT, {"name": ["x"]}, "Patient.name[0]", "a HumanName is wanted"),
    (PATIENT, {"name": [None]}, "Patient.name[0]", "a HumanName is wanted"),
    (PATIENT, {"name": [{"given": [None]}]}, "Patient.name[0].given[0]", "a text is wanted"),
    (PATIENT, {"gender": ["male"]}, "Patient.gender", "not a list"),
    (PATIENT, {"gender": "M"}, "Patient.gender", "required set administrative-gender"),
    (PATIENT, {"gender": {"coding": []}}, "Patient.gender", "a plain value is wanted"),
    (PATIENT, {"gender": ""}, "Patient.gender", "no code"),
    (PATIENT, {"active": "true"}, "Patient.active", "true or false"),
    (PATIENT, {"active": None}, "Patient.active", "true or false"),
    (PATIENT, {"birthDate": "19610230"}, "Patient.birthDate", "no date"),
    (PATIENT, {"birthDate": "1961-02-30"}, "Patient.birthDate", "no such day"),
    (PATIENT, {"_birthDate": "x"}, "Patient._birthDate", "id and extension"),
    (PATIENT, {"_birthDate": {"value": 1}}, "Patient._birthDate.value", "no such element"),
    (PATIENT, {"multipleBirthBoolean": True}, "Patient.multipleBirthBoolean", "only one of"),
    (PATIENT, {"multipleBirthInteger": True}, "Patient.multipleBirthInteger", "whole number"),
    (PATIENT, {"multipleBirthInteger": 2**31}, "Patient.multipleBirthInteger", "whole number"),
    (PATIENT, {"id": "a_b"}, "Patient.id", "no id"),
    (PATIENT, {"language": " de"}, "Patient.language", "no code"),
    (PATIENT, {"implicitRules": "a b"}, "Patient.implicitRules", "no uri"),
    (PATIENT, {"photo": [{"data": "abc"}]}, "Patient.photo[0].data", "not base64"),
    (PATIENT, {"text": {"status": "generated", "div": "x"}}, "Patient.text.div", "XHTML"),
    (PATIENT, {"text": {"div": "<div>x</div>"}}, "Patient.text.status", "required element"),
    (PATIENT, {"link": [{"type": "refer"}]}, "Patient.link[0].other", "required element"),
    (PATIENT, {"extension": [{"url": "u"}]}, "Patient.extension[0]", "a value or extensions"),
    (
        PATIENT,
        {"contained": [{"resourceType": "Ward"}]},
        "Patient.contained[0].resourceType",
        "type",
    ),
    (PATIENT, {"contained": [{"id": "o"}]}, "Patient.contained[0].resourceType", "says its"),
    (PATIENT, {"contained": []}, "Patient.managingOrganization.reference", "no contained"),
    (
        PATIENT,
        {"generalPractitioner": [{"reference": "Patient/1"}]},
        "Patient.generalPractitioner[0].reference",
        "a reference to Organization or Practitioner or PractitionerRole",
    ),
    (
        PATIENT,
        {"generalPractitioner": [{"type": "Patient", "display": "x"}]},
        "Patient.generalPractitioner[0].type",
        "a reference to Organization",
    ),
    (
        PATIENT,
        {"managingOrganization": {"reference": "ward 7"}},
        "Patient.managingOrganization.reference",
        "Type/id",
    ),
    (
        PATIENT,
        {"managingOrganization": {"reference": "Ward/7"}},
        "Patient.managingOrganization.reference",
        "no such resource type",
    ),
    (
        PATIENT,
        {"contained": [{"resourceType": "Practitioner", "id": "o"}]},
        "Patient.managingOrganization.reference",
        "not to Practitioner",
    ),
    (CONDITION, {"subject": None}, "Condition.subject", "a Reference is wanted"),
    (CONDITION, {"clinicalStatus": {"text": "x"}}, "Condition.clinicalStatus", "no coding"),
    (
        CONDITION,
        {"clinicalStatus": {"coding": [{"code": "active"}]}},
        "Condition.clinicalStatus",
        "no coding is in the required set condition-clinical",
    ),
    (OBSERVATION, {"issued": "2026-01-31T09:30:00"}, "Observation.issued", "no instant"),
    (OBSERVATION, {"valueQuantity": {"value": "6.2"}}, "Observation.valueQuantity.value", "number"),
    (OBSERVATION, {"valueTime": "25:00:00"}, "Observation.valueTime", "no time"),
    (OBSERVATION, {"value": "x"}, "Observation.value", "no such element"),
    (BUNDLE, {"type": "collection"}, "Bundle.entry[0].request", "only a transaction"),
    (BUNDLE, {"entry": [{"resource": PATIENT}]}, "Bundle.entry[0].request", "needs it"),
    (BUNDLE, {"entry": [BUNDLE["entry"][0]] * 2}, "Bundle.entry[1].fullUrl", "another entry"),
    (
        BUNDLE,
        {"entry": [BUNDLE["entry"][1]]},
        "Bundle.entry[0].resource.subject.reference",
        "no entry of the Bundle",
    ),
]


@pytest.mark.parametrize(("base", "change", "place", "problem"), WRONG)
def test_what_is_wrong_is_found(
    base: dict[str, Any], change: dict[str, Any], place: str, problem: str
) -> None:
    findings = validate_resource({**base, **change})
    assert (place, True) in [(found.place, problem in found.problem) for found in findings]


@pytest.mark.parametrize("key", ["status", "code"])
def test_required_elements(key: str) -> None:
    (found,) = validate_resource({name: OBSERVATION[name] for name in OBSERVATION if name != key})
    assert str(found) == f"Observation.{key}: a required element is missing"


def test_a_finding_holds_no_value() -> None:
    findings = validate_resource({**PATIENT, "gender": "SECRET", "SECRET KEY": 1, "id": "SE CRET"})
    assert len(findings) == 3
    assert "SE" not in "".join(map(str, findings))


def test_what_is_no_resource() -> None:
    assert [str(found) for found in validate_resource([])] == ["a resource is wanted"]
    assert validate_resource({"resourceType": "HumanName"})
    assert validate_resource({"resourceType": "DomainResource"})


def test_each_type_of_the_tables_can_be_read() -> None:
    for version, resources in (("R4", 146), ("R5", 158)):
        table = definitions(version)
        assert len(table.resources) == resources
        for name in table.types():
            kind = table.type(name)
            assert kind is not None
            for element in kind.elements.values():
                for below in element.types:
                    assert table.is_primitive(below) or table.type(below) is not None
                assert element.targets <= table.resources | {"Any"}
                assert element.binding is None or table.all_codes(element.binding)
