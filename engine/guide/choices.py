"""What the guide leaves to the implementer, as it is decided here."""

from __future__ import annotations

from typing import Final

from engine.guide.patches import Patch, choose, leave, slip

_KEPT: Final = "whether the message is kept is the engine's business, not the mapping's"

CHOICES: Final[tuple[Patch, ...]] = (
    # The guide asks whether an assigning authority is an organization or a system.  Both are
    # said: the system makes the identifier unique, the organization keeps all parts of the HD.
    choose("CX_*", "CX.4", "system", "the system is always given", condition=""),
    # The family name has parts of its own: FN gives them beside the others.
    choose("XPN_HumanName", "XPN.1", "family", "FN gives more than the family name",
           target="[1]"),
    slip("XCN_*", "XCN.18", "target", "name.family.extension", "name.extension"),
    choose("XPN_HumanName", "XPN.10", "", "what is written beside it wins", condition=""),
    choose("XCN_*", "XCN.17", "", "what is written beside it wins", condition=""),
    leave("XAD_Address", "XAD.7", "extension[2]", "the extension has no URL"),
    choose("XAD_Address", "XAD.1", "", "a text of older versions, or the street of SAD",
           target="line[1]", map=""),
    # Severity loses nothing; criticality would be a guess about the future.
    leave("AL1_*", "AL1-4", "criticality", "severity is not read as criticality"),
    leave("IAM_*", "IAM-4", "criticality", "severity is not read as criticality"),
    leave("CWE_Device", "CWE.*", "definition", "a kind of device is told from a device by hand"),
    leave("CWE_Device", "CWE.*", "type", "no code is told"),
    choose("CWE_Device", "CWE.*", "system", "a system is told", assignment=""),
    leave("CWE_Annotation", "CWE", "", "done as a body"),
    choose("NM_*", "NM.1", "", "positive numbers only", "If positive",
           condition="IF NM.1 NOT IN (\"0\")"),
    leave("TQ_*", "TQ.3", "", "a duration in free text is not parsed"),
    leave("XPN_HumanName", "XPN.15", "", "a second name needs a place that repeats"),
    leave("PID_Patient", "PID-19", "type.coding.code", "PID-19 is a US number by definition",
          "If outside"),
    leave("NK1_RelatedPerson", "NK1-37", "type.coding.code", "the same number as PID-19",
          "If outside"),
    leave("MSH_Provenance_*", "MSH", "what(", _KEPT),
    choose("OBR_DiagnosticReport", "OBR-2", "", "as the narrative says",
           condition="IF ORC-2 NOT VALUED"),
    choose("OBR_DiagnosticReport", "OBR-3", "", "as the narrative says",
           condition="IF ORC-3 NOT VALUED"),
    leave("OBR_ServiceRequest", "OBR-13", "", "whether it is about fasting cannot be told"),
    leave("OBR_Specimen", "OBR-13", "", "whether it is about fasting cannot be told"),
    leave("OBR_Specimen", "OBR-2", "", "whether the placer number is the accession is not told"),
    leave("PRT_*", "PRT-2", "", "an action of the sender, not an element"),
    leave("PRT_Device", "PRT-10", "udiCarrier", "a UDI is not told from another identifier"),
    leave("ROL_CareTeam", "ROL-4", "(Patient", "the role tells who it is; most are practitioners"),
    leave("ROL_CareTeam", "ROL-4", "(RelatedPerson", "the same"),
    choose("SCH_Appointment", "SCH-9", "", "as the narrative says",
           condition="IF SCH-10 IN (\"M\", \"MIN\", \"min\", \"m\", \"MINUTES\", \"minutes\")"),
    leave("TXA_DocumentReference", "TXA-6", "extension", "an extension of a FHIR version to come"),
    choose("PR1_Procedure", "PR1", "status", "as the narrative says", assignment='"unknown"'),
    leave("ORC_ServiceRequest", "ORC-4", "requisition[2]", "EI and EIP begin alike: requisition"),
    leave("OBX_*", "OBX-5", "valueString", "the last resort of OBX_Value", "all fail"),
    leave("OBX_Observation_Component", "OBX-[37]", "component", "done beside OBX_Value"),
    leave("ROL_Encounter_PractitionerRole", "ROL-1", "individual", "a key of the segment"),
    # The value is one decision about OBX-2, OBX-5 and OBX-6: see OBX_Value.
    leave("OBX_Observation*", "OBX-[56]", "value", "done by OBX_Value"),
    leave("OBX_Observation*", "OBX-5", "extension", "done by OBX_Value"),
    leave("OBX_Observation*", "OBX-5", "derivedFrom", "a document is an attachment here"),
    choose("OBX_*", "OBX-4", "", "an extension of its own", target="extension[9]"),
    choose("OBX_*", "OBX-15", "(Organization)", "a performer of its own",
           target="performer[3](Organization)"),
    leave("OBX_*", "OBX-15", "(PractitionerRole)", "the same field as an organization"),
    leave("OBX_*", "OBX-33", "extension", "R5's extension wants a Group of Specimens"),
    slip("OBX_*", "OBX-10", "target", "extension[2]", "extension[3]"),
    slip("OBX_*", "OBX-30", "target", "extension[2]", "extension[4]"),
    choose("OBX_*", "OBX-19", "url", "the guide's comment has the URL", assignment='"http://'
           'hl7.org/fhir/StructureDefinition/observation-analysis-date-time"'),
    choose("OBR_ServiceRequest", "OBR-17", "url", "the guide's comment has the URL", assignment=
           '"http://hl7.org/fhir/StructureDefinition/servicerequest-order-callback-phone-number"'),
    leave("PID_Patient", "PID-12", "", "done as a part of the addresses"),
    leave("PID_Patient", "PID-11", "", "done as a part, with PID-12"),
    leave("PID_Patient", "PID-21", "", "a RelatedPerson is a resource of its own"),
    leave("PID_Appointment", "PID-*", "", "which Patient this is, the message tells"),
    leave("PV2_Encounter", "PV2-12", "text", "a narrative is more than a text"),
    leave("AIP_Appointment", "AIP-12", "status", "the guide names no codes"),
)  # fmt: skip
