"""What fhir-to-cda writes: elements in the order of the CDA R2 schema, what the schema
requires, and rows that its references mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree

from engine.mapping import Converter

ROOT = Path(__file__).parents[3] / "mappings"
SAMPLE = (ROOT / "samples/summary-of-care.json").read_bytes()

ACT = "templateId id code text statusCode effectiveTime"
PARTS = "subject specimen performer author informant participant entryRelationship reference"
ENTITY = "id code addr telecom assignedPerson assignedAuthoringDevice representedOrganization"
ORDER: Final = {
    "ClinicalDocument": "realmCode typeId templateId id code title effectiveTime "
    "confidentialityCode languageCode setId versionNumber copyTime recordTarget author dataEnterer "
    "informant custodian informationRecipient legalAuthenticator authenticator participant "
    "inFulfillmentOf documentationOf relatedDocument authorization componentOf component",
    "patientRole": "id addr telecom patient providerOrganization",
    "patient": "id name administrativeGenderCode birthTime deceasedInd deceasedTime "
    "multipleBirthInd multipleBirthOrderNumber maritalStatusCode religiousAffiliationCode raceCode "
    "sdtc:raceCode ethnicGroupCode sdtc:ethnicGroupCode guardian birthplace languageCommunication",
    "guardian": "id code addr telecom guardianPerson guardianOrganization",
    "languageCommunication": "languageCode modeCode proficiencyLevelCode preferenceInd",
    "author": "templateId functionCode time assignedAuthor",
    "assignedAuthor": ENTITY,
    "assignedEntity": ENTITY,
    "assignedAuthoringDevice": "code manufacturerModelName softwareName",
    "representedOrganization": "id name telecom addr",
    "representedCustodianOrganization": "id name telecom addr",
    "manufacturerOrganization": "id name telecom addr",
    "legalAuthenticator": "time signatureCode assignedEntity",
    "serviceEvent": "id code effectiveTime performer",
    "encompassingEncounter": "id code effectiveTime dischargeDispositionCode responsibleParty "
    "encounterParticipant location",
    "encounterParticipant": "time assignedEntity",
    "performer": "functionCode time assignedEntity",
    "healthCareFacility": "id code location serviceProviderOrganization",
    "section": "templateId id code title text confidentialityCode author entry component",
    "act": f"{ACT} priorityCode {PARTS} precondition",
    "encounter": f"{ACT} dischargeDispositionCode priorityCode {PARTS} precondition",
    "observation": f"{ACT} priorityCode repeatNumber value interpretationCode methodCode "
    f"targetSiteCode {PARTS} precondition referenceRange",
    "observationRange": "code text value interpretationCode",
    "procedure": f"{ACT} priorityCode methodCode approachSiteCode targetSiteCode {PARTS}",
    "organizer": "templateId id code statusCode effectiveTime subject specimen performer author "
    "informant participant reference precondition component",
    "substanceAdministration": f"{ACT} priorityCode repeatNumber routeCode approachSiteCode "
    "doseQuantity rateQuantity maxDoseQuantity administrationUnitCode subject specimen consumable "
    "performer author informant participant entryRelationship reference precondition",
    "supply": f"{ACT} priorityCode repeatNumber independentInd quantity product {PARTS}",
    "manufacturedProduct": "templateId id manufacturedMaterial manufacturedLabeledDrug "
    "manufacturerOrganization",
    "manufacturedMaterial": "code name lotNumberText",
    "participantRole": "templateId id code addr telecom playingDevice playingEntity scopingEntity",
    "specimenRole": "id specimenPlayingEntity",
    "criterion": "templateId code text value",
    "parentDocument": "id code text setId versionNumber",
    "table": "caption thead tfoot tbody",
}
"""The sequences of CDA R2 (CDA.xsd, with HL7's sdtc extensions), as far as they are written."""
REQUIRED: Final = {
    "ClinicalDocument": "typeId id code effectiveTime confidentialityCode recordTarget author "
    "custodian component",
    "patientRole": "id",
    "assignedAuthor": "id",
    "assignedEntity": "id",
    "author": "time assignedAuthor",
    "observation": "code",
    "organizer": "statusCode",
    "substanceAdministration": "consumable",
    "encompassingEncounter": "effectiveTime",
    "parentDocument": "id",
}


def name_of(element: Any) -> str:
    """Codes of race and ethnicity stand twice: HL7's own first, then those of its extension."""
    local = etree.QName(element).localname
    twice = local in ("raceCode", "ethnicGroupCode") and element.prefix == "sdtc"
    return f"sdtc:{local}" if twice else local


@pytest.fixture(scope="module")
def written() -> Any:
    return etree.fromstring(Converter(ROOT).convert(SAMPLE, "cda").body)


def test_elements_are_in_the_order_of_the_schema(written: Any) -> None:
    wrong = []
    for element in written.iter(etree.Element):
        order = ORDER.get(etree.QName(element).localname)
        children = [name_of(child) for child in element]
        if order is None:
            continue
        known = order.split()
        unknown = [child for child in children if child not in known]
        places = [known.index(child) for child in children if child in known]
        if unknown or places != sorted(places):
            wrong.append((etree.QName(element).localname, children))
    assert wrong == []


def test_what_the_schema_requires_is_there(written: Any) -> None:
    for name, children in REQUIRED.items():
        for element in written.iter(f"{{*}}{name}"):
            found = {name_of(child) for child in element}
            assert set(children.split()) <= found, name


def test_values_of_attributes_are_what_their_types_allow(written: Any) -> None:
    for element in written.iter(etree.Element):
        for name in ("root", "codeSystem"):
            assert set(element.get(name, "1.2")) <= set("0123456789.-abcdef")
        assert " " not in element.get("unit", "")


def test_references_to_the_narrative_have_their_row(written: Any) -> None:
    ids = [element.get("ID") for element in written.iter("{*}tr") if element.get("ID")]
    assert len(ids) == len(set(ids))
    wanted = {one.get("value") for one in written.iter("{*}reference") if one.get("value")}
    assert len(wanted) > 10
    assert {one.removeprefix("#") for one in wanted} <= set(ids)
