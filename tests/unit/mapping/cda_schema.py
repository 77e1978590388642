"""CDA R2's schema as far as fhir-to-cda writes: the order of elements, and those that must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

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
    "associatedEntity": "id code addr telecom associatedPerson scopingOrganization",
    "relatedSubject": "code addr telecom subject",
    "subject": "relatedSubject name administrativeGenderCode birthTime deceasedInd deceasedTime",
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


def breaches(root: Any) -> Iterator[str]:
    """What the schema would refuse: elements out of order, unknown or missing."""
    for element in root.iter(etree.Element):
        name = etree.QName(element).localname
        children = [name_of(child) for child in element]
        missing = set(REQUIRED.get(name, "").split()) - set(children)
        if missing:
            yield f"{name} lacks {sorted(missing)}"
        if name not in ORDER:
            continue
        known = ORDER[name].split()
        places = [known.index(child) for child in children if child in known]
        if len(places) < len(children) or places != sorted(places):
            yield f"{name}: {children}"
