"""Literals that were probably meant as expressions: the ``=`` was forgotten."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from engine.syntax import Scalar


@dataclass(frozen=True, slots=True)
class Look:
    what: str


_SEGMENTS_TEXT: Final = """
ABS ACC ADD ADJ AFF AIG AIL AIP AIS AL1 APR ARQ ARV AUT BHS BLC BLG BPO BPX BTS BTX CDM CDO
CER CM0 CM1 CM2 CNS CON CSP CSR CSS CTD CTI DB1 DG1 DMI DON DRG DSC DSP ECD ECR EDU EQP ERR
EVN FAC FHS FT1 FTS GOL GP1 GP2 GT1 IAM IAR IIM ILT IN1 IN2 IN3 INV IPC IPR ISD ITM IVC IVT
LAN LCC LCH LDP LOC LRL MFA MFE MFI MRG MSA MSH NCK NDS NK1 NPU NSC NST NTE OBR OBX ODS ODT
OH1 OM1 OM2 OM3 OM4 OM5 OM6 OM7 ORC ORG OVR PAC PCE PCR PD1 PDA PDC PEO PES PID PKG PMT PR1
PRA PRB PRC PRD PRT PSG PSH PSL PSS PTH PV1 PV2 PYE QAK QID QPD QRD QRF QRI RCP RDF RDT REL
RF1 RFI RGS RMI ROL RQ1 RQD RXA RXC RXD RXE RXG RXO RXR RXV SAC SCD SCH SCP SDD SFT SID SLT
SPM STF STZ SUR TCC TCD TQ1 TQ2 TXA UAC UB1 UB2 URD URS VAR VND
"""
_SEGMENTS: Final = frozenset(_SEGMENTS_TEXT.split())
_HL7: Final = re.compile(r"([A-Z][A-Z0-9]{2})(\[[^\]]*\])?-\d+(\.\d+|\[[^\]]*\])*!?(\s*\|.*)?")
_VARIABLE: Final = re.compile(r"\$[^\W\d]\w*[\w.\[\]*!-]*(\s*\|.*)?")
_PIPE: Final = re.compile(r".*\S\s*\|\s*(table|each|date|datetime|instant|number)\b(\(.*\))?")


def looks_like_expression(scalar: Scalar, format: str) -> Look | None:
    """For an unquoted scalar only: quoting says that text is meant."""
    if scalar.quoted or scalar.block:
        return None
    text = scalar.text.strip()
    if len(text) > 200:
        return None
    path = _HL7.fullmatch(text)
    if format == "hl7v2" and path and (path[1] in _SEGMENTS or path[1].startswith("Z")):
        return Look("a path")
    if _VARIABLE.fullmatch(text):
        return Look("a variable")
    if _PIPE.fullmatch(text):
        return Look("an expression")
    return None
