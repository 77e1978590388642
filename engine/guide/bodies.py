"""Maps that are written by hand, because their rows cannot be read one by one; and what makes a
resource the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Body:
    """A map as it stands in the YAML, below its name; a reason where it stands for rows of the
    guide, ``args`` where it is a map of ours."""

    reason: str
    text: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a resource the same one (``key:``), and when there is one (``$if``)."""

    parts: tuple[str, ...]
    given: str


_PERSON: Final = "$xcn.1 or exists($xcn.2) or $xcn.3"
_PERSON_KEY: Final = ("$xcn.9 | each('HD_uri')", "$xcn.1")
_AUTHORITY: Final = Identity(("$hd | each('HD_uri')",), "$hd.1 or $hd.2")

IDENTITIES: Final[Mapping[str, Identity]] = {
    "XCN_Practitioner": Identity(_PERSON_KEY, _PERSON),
    "XCN_Patient": Identity(_PERSON_KEY, _PERSON),
    "XCN_RelatedPerson": Identity((), _PERSON),
    "CNN_Practitioner": Identity(
        ("authority_uri($cnn.9, $cnn.10, $cnn.11)", "$cnn.1"), "$cnn.1 or $cnn.2 or $cnn.3"
    ),
    "XON_Organization": Identity(
        ("$xon.6 | each('HD_uri')", "$xon.10 ?? $xon.3"), "$xon.1 or $xon.3 or $xon.10"
    ),
    "XON_Location": Identity((), "$xon.1 or $xon.3 or $xon.10"),
    "HD_Organization": _AUTHORITY,
    "HD_Device": _AUTHORITY,
    "HD_Location": _AUTHORITY,
    "CWE_Organization": Identity((), "$cwe.1 or $cwe.2 or $cwe.9"),
    "CWE_Device": Identity((), "$cwe.1 or $cwe.2"),
    "EI_Condition": Identity(("$ei.2", "$ei.1"), "$ei.1"),
    "EI_Procedure": Identity(("$ei.2", "$ei.1"), "$ei.1"),
}

# A place by its levels, the widest first (HL7 2.5.1 ch. 2A.53): component of PL, component of
# NDL, name, code of location-physical-type (which has none for a point of care).
_LEVELS: Final = (
    ("4", "7", "facility", "si"),
    ("7", "10", "building", "bu"),
    ("8", "11", "floor", "lvl"),
    ("1", "4", "unit", ""),
    ("2", "5", "room", "ro"),
    ("3", "6", "bed", "bd"),
)


def _levels(kind: str) -> Iterator[tuple[str, Body]]:
    """One map for each level, which is part of the next wider one that is given."""
    arg = kind.lower()
    wider: list[str] = []
    for in_pl, in_ndl, name, code in _LEVELS:
        at = in_pl if kind == "PL" else in_ndl
        lines = [
            "out:",
            f"  $if: exists(${arg}.{at})",
            "  resourceType: Location",
            "  identifier:",
            f"    - = ${arg}.{at} | each('HD_Identifier')  # {kind}.{at}",
            "  mode: instance",
        ]
        if code:
            lines += [
                "  physicalType:",
                "    coding:",
                "      - system: http://terminology.hl7.org/CodeSystem/location-physical-type",
                f"        code: {code}",
            ]
        if wider:
            chain = " ?? ".join(f"(${arg} | refer('{place}'))" for place in reversed(wider))
            lines.append(f"  partOf: = {chain}")
        map_name = f"{kind}_Location_{name}"
        yield map_name, Body("", "\n".join(lines) + "\n", (arg,))
        wider.append(map_name)


def _narrowest(kind: str) -> list[str]:
    arg = kind.lower()
    lines = ["$first:"]
    for in_pl, in_ndl, name, _ in reversed(_LEVELS):
        at = in_pl if kind == "PL" else in_ndl
        lines += [
            f"  - $if: exists(${arg}.{at})",
            f"    $use: {kind}_Location_{name}",
            f"    $with: {{{arg}: = ${arg}}}",
        ]
    return lines


def _place() -> str:
    lines = ["out:", "  $merge:", "    - " + _narrowest("PL")[0]]
    lines += [f"      {line}" for line in _narrowest("PL")[1:]]
    lines += [
        "    - $if: $pl.9  # PL.9",
        "      resourceType: Location",
        "      description: = $pl.9",
        "    - $if: exists($pl.10)  # PL.10, PL.11",
        "      resourceType: Location",
        "      identifier:",
        "        - $use: EI_Identifier_Extension",
        "          $with: {ei: = $pl.10}",
        "          assigner: = $pl.11 | refer('HD_Organization')",
    ]
    return "\n".join(lines) + "\n"


def _device_place() -> str:
    return "out:\n" + "".join(f"  {line}\n" for line in _narrowest("NDL"))


BODIES: Final[Mapping[str, Body]] = {
    "HD_uri": Body(
        "An OID or UUID is the same everywhere and wins over the local name, which is no URI; a "
        "name in the table AssigningAuthority has the URI that a site gives it.",
        """\
out: = $hd.1 | table('AssigningAuthority') ?? authority_uri($hd.1, $hd.2, $hd.3)
""",
    ),
    "HD_MessageHeader_source_endpoint": Body(
        "The rows as they are, for an HD that is there; an address is needed, so its absence is "
        "said.",
        """\
out:
  $if: $hd.1 or $hd.2
  $let:
    known: = $hd.3 in ['ISO', 'UUID', 'DNS', 'URI']
    scheme: = $hd.3 | table('EndpointScheme')
  name: = concat_all($hd.1, ' - ', $hd.3, ':', $hd.2) | when(not $known) ?? $hd.1 | when(not $hd.2)
  endpoint: = concat_all($scheme, $hd.2) | replace(' ', '%20')  # HD.2
  _endpoint:
    extension:
      - $if: not $known or not $hd.2  # HD.3
        url: http://hl7.org/fhir/StructureDefinition/data-absent-reason
        valueCode: unknown
""",
    ),
    "HD_MessageHeader_destination_endpoint": Body(
        "The rows as they are, for an HD that is there; an address is needed, so its absence is "
        "said.",
        """\
out:
  $if: $hd.1 or $hd.2
  $let:
    scheme: = $hd.3 | table('EndpointScheme') | when($hd.3 in ['ISO', 'UUID'])
  name: = $hd.1  # HD.1
  endpoint: = concat($scheme, $hd.2) | replace(' ', '%20') | when($hd.2)  # HD.2
  _endpoint:
    extension:
      - $if: not $hd.2  # HD.3
        url: http://hl7.org/fhir/StructureDefinition/data-absent-reason
        valueCode: unknown
""",
    ),
    "HD_MessageHeader_destination_name": Body(
        "The namespace is the name of an application; the universal id stands in for it.",
        """\
out:
  name: = $hd.1 ?? $hd.2  # HD.1, HD.2
""",
    ),
    "CWE_string": Body(
        "Older versions have a plain code here, which CWE.1 is.",
        "out: = $cwe.9 ?? $cwe.2 ?? $cwe.1  # CWE.9, CWE.2\n",
    ),
    "HD_Identifier": Body(
        "HD.1 and HD.2 name one thing; an Identifier has room for one value.",
        """\
out:
  system: = authority_uri($hd.2, $hd.2, $hd.3) | when($hd.1 and $hd.2)  # HD.2, HD.3
  value: = $hd.1 ?? $hd.2  # HD.1, HD.2
""",
    ),
    "CNN_Practitioner": Body(
        "The guide has no place for the assigning authority (CNN.9-11), which makes the "
        "identifier unique.",
        """\
out:
  $if: $cnn.1 or $cnn.2 or $cnn.3
  resourceType: Practitioner
  identifier:
    - $if: $cnn.1
      system: = $cnn.9 | table('AssigningAuthority') ?? authority_uri($cnn.9, $cnn.10, $cnn.11)
      value: = $cnn.1 | squeeze  # CNN.1
  name:
    - family: = $cnn.2  # CNN.2
      given:
        - = $cnn.3  # CNN.3
        - = $cnn.4  # CNN.4
      prefix:
        - = $cnn.6  # CNN.6
      suffix:
        - = $cnn.5  # CNN.5
        - = $cnn.7  # CNN.7
""",
    ),
    "CQ_Duration": Body(
        "A unit that UCUM has for times is its code, whichever table the sender names.",
        """\
out:
  $let:
    number: = $cq.1 | number_or_none
    known: = $cq.2.1 in ['a', 'd', 'h', 'min', 'mo', 's', 'wk']
  $if: exists($number)
  value: = $number  # CQ.1
  unit: = $cq.2 | each('CWE_string')  # CQ.2
  system: = 'http://unitsofmeasure.org' | when($known)
  code: = $cq.2.1 | when($known)  # CQ.2
""",
        ("cq",),
    ),
    "CQ_unsignedInt": Body(
        "Minutes, as Timing.repeat.offset counts.",
        "out: = try(minutes($cq.1, $cq.2 ?? 'min'))  # CQ.1, CQ.2\n",
    ),
    "ED_Attachment": Body(
        "ED.5 is base64 unless ED.4 says otherwise; text is encoded, hexadecimal is left out.",
        """\
out:
  contentType: = $ed.3 | table('MediaType')  # ED.2, ED.3
  data:
    $case: = $ed.4
    $of:
      A|a: = $ed.5 | text | base64  # ED.5
      Hex: {}
    $else:
      $first:
        - = $ed.5 | when($ed.5 matches '[A-Za-z0-9+/=\\s]+')
        - = $ed.5 | text | base64
""",
    ),
    "CWE_Annotation": Body("The whole field as text.", "out:\n  text: = $cwe | text  # CWE\n"),
    "EI_Identifier_System": Body(
        "The universal id is the better system where there is one.",
        """\
out:
  $if: $ei.1
  system: = $ei.2 | table('AssigningAuthority') ?? authority_uri($ei.2, $ei.3, $ei.4)  # EI.2-4
  value: = $ei.1 | squeeze  # EI.1
""",
    ),
    "EI_Identifier_Extension": Body(
        "The guide keeps only EI.1 here; the assigning authority makes the identifier unique.",
        """\
out:
  $if: $ei.1
  system: = $ei.2 | table('AssigningAuthority') ?? authority_uri($ei.2, $ei.3, $ei.4)  # EI.2-4
  value: = $ei.1 | squeeze  # EI.1
""",
    ),
    "EI_Identifier_Organization": Body(
        "The assigning organization is an HD, as in other identifiers.",
        """\
out:
  $if: $ei.1
  system: = $ei.2 | table('AssigningAuthority') ?? authority_uri($ei.2, $ei.3, $ei.4)  # EI.2-4
  value: = $ei.1 | squeeze  # EI.1
  assigner: {display: = $ei.2}
""",
    ),
    "EIP_Identifier_PlacerAssignedIdentifier": Body(
        "EIP.1 is an EI; the guide reads it as a text.",
        """\
out:
  $if: $eip.1.1
  type:
    coding:
      - system: http://terminology.hl7.org/CodeSystem/v2-0203
        code: PGN
  system: = $eip.1.2 | table('AssigningAuthority') ?? authority_uri($eip.1.2, $eip.1.3, $eip.1.4)
  value: = $eip.1.1 | squeeze  # EIP.1
""",
    ),
    "EIP_Identifier_FillerAssignedIdentifier": Body(
        "EIP.2 is an EI; the guide reads it as a text.",
        """\
out:
  $if: $eip.2.1
  type:
    coding:
      - system: http://terminology.hl7.org/CodeSystem/v2-0203
        code: FGN
  system: = $eip.2.2 | table('AssigningAuthority') ?? authority_uri($eip.2.2, $eip.2.3, $eip.2.4)
  value: = $eip.2.1 | squeeze  # EIP.2
""",
    ),
    "NTE_Appointment_Comment": Body(
        "One Annotation for the comment, its author and time; NTE-4 and NTE-9 have no place in it.",
        """\
out:
  $if: exists($nte.3)
  resourceType: Appointment
  extension:
    - url: http://hl7.org/fhir/5.0/StructureDefinition/extension-Appointment.note
      valueAnnotation:
        authorReference: = $nte.5 | refer('XCN_Practitioner')  # NTE-5
        time: = try($nte.6 | datetime)  # NTE-6
        text: = $nte.3[*] | text | join('\\n')  # NTE-3
""",
    ),
    "OG_Extension_Subidentifier": Body(
        "The guide's labels are the nested extensions of observation-v2-subid.",
        """\
out:
  $if: exists($og)
  url: http://hl7.org/fhir/StructureDefinition/observation-v2-subid
  extension:
    - $if: $og.1
      url: original-sub-identifier
      valueString: = $og.1  # OG.1
    - $if: exists($og.2 | number_or_none)
      url: sequence
      valueDecimal: = $og.2 | number_or_none  # OG.2
    - $if: exists($og.3 | number_or_none)
      url: group
      valueDecimal: = $og.3 | number_or_none  # OG.3
    - $if: $og.4
      url: identifier
      valueString: = $og.4  # OG.4
""",
    ),
    **dict(_levels("PL")),
    "PL_Location": Body(
        "The guide numbers the levels of a place; here each is a map, part of the next wider one "
        "that is given. PL.9 and PL.10 belong to the narrowest.",
        _place(),
    ),
    **dict(_levels("NDL")),
    "NDL_Location": Body("", _device_place(), ("ndl",)),
    "NDL_PractitionerRole": Body(
        "The place is that of PL, with other numbers; NDL.1 is the person. NDL.8 is no code of "
        "Location.status.",
        """\
out:
  resourceType: PractitionerRole
  practitioner: = $ndl.1 | refer('CNN_Practitioner')  # NDL.1
  period:
    start: = try($ndl.2 | datetime)  # NDL.2
    end: = try($ndl.3 | datetime)  # NDL.3
  location:
    - = $ndl | refer('NDL_Location')  # NDL.4-7, NDL.10-11
""",
    ),
    "XCN_PractitionerRole": Body(
        "The person is the Practitioner that XCN_Practitioner makes, so that both are one.",
        """\
out:
  $if: $xcn.1 or exists($xcn.2) or $xcn.3
  resourceType: PractitionerRole
  practitioner: = $xcn | refer('XCN_Practitioner')  # XCN.1-21
""",
    ),
    "XCN_Annotation_Author": Body(
        "The person is the Practitioner that XCN_Practitioner makes, so that both are one.",
        "out:\n  authorReference: = $xcn | refer('XCN_Practitioner')  # XCN.1-21\n",
    ),
    "XPN_string": Body(
        "Given names before the family name, unless XPN.11 asks for the family name first.",
        """\
out:
  $first:
    - $if: $xpn.11 == 'F'
      $first:
        - = list($xpn.5, $xpn.1, $xpn.2, $xpn.3, $xpn.4) | join(' ')
    - = list($xpn.5, $xpn.2, $xpn.3, $xpn.1, $xpn.4) | join(' ')
""",
    ),
    "XTN_ContactPoint": Body(
        "The guide's eight conditions in the order in which they exclude each other: an electronic "
        "address is XTN.4, a number XTN.12, its parts, or XTN.1 as older versions have it. What "
        "the sender says of the use goes before what the equipment tells of it.",
        """\
out:
  $let:
    electronic: = $xtn.3 in ['Internet', 'X.400'] or ($xtn.4 and not $xtn.3)
    parts: = list(concat_all('+', $xtn.5), $xtn.6, $xtn.7, concat_all('X', $xtn.8)) | join(' ')
    given: = $parts | when($xtn.7)
    number: = ($xtn.4 ?? $xtn.1) | when($electronic) ?? $xtn.12 ?? $given ?? $xtn.1 ?? $xtn.4
  $if: exists($number)
  extension:
    - $if: $xtn.5
      url: http://hl7.org/fhir/StructureDefinition/contactpoint-country
      valueString: = $xtn.5  # XTN.5
    - $if: $xtn.6
      url: http://hl7.org/fhir/StructureDefinition/contactpoint-area
      valueString: = $xtn.6  # XTN.6
    - $if: $xtn.7 and not $electronic
      url: http://hl7.org/fhir/StructureDefinition/contactpoint-local
      valueString: = $xtn.7  # XTN.7
    - $if: $xtn.8
      url: http://hl7.org/fhir/StructureDefinition/contactpoint-extension
      valueString: = $xtn.8  # XTN.8
  system:  # XTN.3
    $first:
      - = $xtn.3 | table('TelecommunicationEquipmentType')
      - = 'email' | when($electronic) ?? 'phone'
  value: = $number  # XTN.1, XTN.4, XTN.6, XTN.7, XTN.12
  use: = $xtn.2 | table('TelecommunicationUseCode') ?? 'mobile' | when($xtn.3 == 'CP')  # XTN.2
  rank: = try($xtn.18 | integer)  # XTN.18
  period:
    start: = try($xtn.13 | datetime)  # XTN.13
    end: = try($xtn.14 | datetime)  # XTN.14
""",
    ),
    "SAD_Address": Body(
        "One line for each part that is given, the house number before the street's name is the "
        "sender's own order in SAD.1.",
        """\
out:
  line:
    - = $sad.1  # SAD.1
    - = $sad.2  # SAD.2
    - = $sad.3  # SAD.3
""",
    ),
}
