"""Parts of segment maps that are written by hand: several rows that are one decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.guide.bodies import Body


@dataclass(frozen=True, slots=True)
class Part:
    """What is added to a generated map, in place of rows that `choices` leaves out."""

    reason: str
    text: str


OWN: Final[Mapping[str, tuple[tuple[str, Body], ...]]] = {
    "OBX": (
        (
            "OBX_Value",
            Body(
                "OBX-5 by OBX-2, with the unit of OBX-6. The guide's rows are the branches; what "
                "they do not cover (a number that is none, a range of texts) keeps its text.",
                """\
out:
  $case: = $obx.2
  $of:
    NM:  # OBX-5, OBX-6
      $let:
        number: = $value | number_or_none
      $first:
        - $if: exists($number)
          valueQuantity:
            value: = $number
            $use: CWE_Quantity
            $with: {cwe: = $obx.6}
        - valueString: = $value | text
    SN:
      $let:
        number: = $value.2 | number_or_none
        other: = $value.4 | number_or_none
        sign: = $value.1 | when($value.1 in ['<', '<=', '>', '>='])
      $first:
        - $if: exists($number) and not exists($value.3) and $value.1 != '<>'
          valueQuantity:
            value: = $number
            comparator: = $sign
            $use: CWE_Quantity
            $with: {cwe: = $obx.6}
        - $if: exists($number) and exists($other) and $value.1 != '<>' and $value.3 in [':', '/']
          valueRatio:
            numerator:
              value: = $number
              comparator: = $sign
              $use: CWE_Quantity
              $with: {cwe: = $obx.6}
            denominator:
              value: = $other
              $use: CWE_Quantity
              $with: {cwe: = $obx.6}
        - $if: exists($number) and exists($other) and ($value.1 ?? '=') == '=' and $value.3 == '-'
          valueRange:
            low:
              value: = $number
              $use: CWE_Quantity
              $with: {cwe: = $obx.6}
            high:
              value: = $other
              $use: CWE_Quantity
              $with: {cwe: = $obx.6}
        - valueString: = list($value.1, $value.2, $value.3, $value.4, $obx.6.1) | join(' ')
    ST|FT|TX:
      valueString: = $obx.5[*] | text | join('\\n')
    CWE|CE|CNE|CF|IS|ID:
      valueCodeableConcept: = $value | each('CWE_CodeableConcept')
    DT|DTM|TS:
      $first:
        - valueDateTime: = try($value | datetime)
        - valueString: = $value | text
    TM:
      $first:
        - valueTime: = try($value | time)
        - valueString: = $value | text
    DR:
      valuePeriod: = $value | each('DR_Period')
    NR:
      valueRange: = $value | each('NR_Range')
    VR:
      valueString: = list($value.1, $value.2) | join('-')
    NA:
      valueString: = $value | text
    ED:
      extension:
        - $if: exists($value)
          url: http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.valueAttachment
          valueAttachment: = $value | each('ED_Attachment')
    RP:
      extension:
        - $if: exists($value)
          url: http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.valueAttachment
          valueAttachment: = $value | each('RP_Attachment')
  $else:
    valueString: = $value | text
""",
                ("obx", "value"),
            ),
        ),
    ),
}

PARTS: Final[Mapping[str, Part]] = {
    "OBX_Observation": Part(
        "OBX-2, OBX-5 and OBX-6 are one decision.",
        """\
$merge:
  - $use: OBX_Value
    $with: {obx: = $obx, value: = $obx.5}
""",
    ),
    "OBX_Observation_Component": Part(
        "OBX-2, OBX-5 and OBX-6 are one decision, for each value of OBX-5.",
        """\
component:
  - $for: value in $obx.5[*]
    $use: OBX_Value
    $with: {obx: = $obx, value: = $value}
    code: = $obx.3 | each('CWE_CodeableConcept')  # OBX-3
    referenceRange:
      - text: = $obx.7  # OBX-7
""",
    ),
    "TQ1_ServiceRequest": Part(
        "The guide proposes an extension for the condition; R4 has an element for it.",
        """\
asNeededCodeableConcept:
  text: = $tq1.10 | text  # TQ1-10
""",
    ),
    "TXA_DocumentReference": Part(
        "The guide leaves out when what the document is about was done.",
        """\
context:
  period:
    start: = try($txa.4 | datetime)  # TXA-4
""",
    ),
    "SPM_Specimen": Part(
        "R4 has an extension for how a specimen is to be handled, which the guide does not name.",
        """\
$merge:
  - collection:
      extension:
        - $for: cwe in $spm.15[*]  # SPM-15
          $if: exists($cwe)
          url: http://hl7.org/fhir/StructureDefinition/specimen-specialHandling
          valueCodeableConcept: = $cwe | each('CWE_CodeableConcept')
""",
    ),
    "RXA_Immunization": Part(
        "The guide leaves RXA-9 to the realms; a record from elsewhere (NIP001 01 to 08) has an "
        "origin, and the first is no primary source.",
        """\
primarySource: = ($rxa.9.1 == '00') | when($rxa.9.3 == 'NIP001')  # RXA-9
reportOrigin: = $rxa.9[.3 == 'NIP001'] | each('CWE_CodeableConcept')
""",
    ),
    "IAM_AllergyIntolerance": Part(
        "The clinician's code stands beside the allergen's.",
        """\
code:
  $merge:
    - = $iam.3 | each('CWE_CodeableConcept')  # IAM-3
    - = $iam.27 | each('CWE_CodeableConcept')  # IAM-27
""",
    ),
    "PID_Patient": Part(
        "PID-12 is the county of the address where there is one without, otherwise an address.",
        """\
address:
  - $first:
      - $if: $pid.12 and not $pid.11[2] and exists($pid.11) and not exists($pid.11.9)
        $use: XAD_Address
        $with: {xad: = $pid.11}
        district: = $pid.12  # PID-12
      - = $pid.11[*] | each('XAD_Address')  # PID-11
  - $if: $pid.12 and (not exists($pid.11) or exists($pid.11[2]) or exists($pid.11.9))
    $let:
      other: = $pid.12 | when($pid.11.9 != $pid.12)
    district: = $other  # PID-12
""",
    ),
    "PV2_Encounter": Part(
        "A visit that is protected is restricted; one that is not, is normal.",
        """\
meta:
  security:
    - $if: $pv2.22 in ['Y', 'N']  # PV2-22
      system: http://terminology.hl7.org/CodeSystem/v3-Confidentiality
      code: = 'R' | when($pv2.22 == 'Y') ?? 'N'
""",
    ),
    "IN1_Coverage": Part(
        "R4 has codes of its own for how the subscriber stands to the patient; the sender's "
        "code stands behind where it says more.",
        """\
relationship:
  coding:
    - = $in1.17.1 | coding('SubscriberRelationship')
    - $let:
        own: = 'http://terminology.hl7.org/CodeSystem/v2-0063' | when($in1.17.1)
      $use: CWE_OwnCoding  # IN1-17
      $with:
        code: = $in1.17.1
        words: = $in1.17.2
        system: = $in1.17.3 | table('CodingSystem') ?? $own
        version: = $in1.17.7
        known: = $in1.17.1 | coding('SubscriberRelationship')
        read: http://terminology.hl7.org/CodeSystem/v2-0063
    - $if: exists($in1.17.4) or exists($in1.17.5)
      system: = $in1.17.6 | table('CodingSystem')
      version: = $in1.17.8
      code: = $in1.17.4 | squeeze
      display: = $in1.17.5
  text: = $in1.17.9
""",
    ),
}
