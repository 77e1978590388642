"""Which abstract message structure a trigger event has (HL7 2.5.1 table 0354, with the later
versions' additions), for senders that leave MSH-9.3 empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_SHARED: Final = {
    "ADT_A01": "ADT_A04 ADT_A08 ADT_A13",
    "ADT_A05": "ADT_A14 ADT_A28 ADT_A31",
    "ADT_A06": "ADT_A07",
    "ADT_A09": "ADT_A10 ADT_A11",
    "ADT_A21": "ADT_A22 ADT_A23 ADT_A25 ADT_A26 ADT_A27 ADT_A29 ADT_A32 ADT_A33",
    "ADT_A30": "ADT_A34 ADT_A35 ADT_A36 ADT_A46 ADT_A47 ADT_A48 ADT_A49",
    "ADT_A39": "ADT_A40 ADT_A41 ADT_A42",
    "ADT_A43": "ADT_A44",
    "ADT_A50": "ADT_A51",
    "ADT_A52": "ADT_A53",
    "ADT_A54": "ADT_A55",
    "ADT_A61": "ADT_A62",
    "MDM_T01": "MDM_T03 MDM_T05 MDM_T07 MDM_T09 MDM_T11",
    "MDM_T02": "MDM_T04 MDM_T06 MDM_T08 MDM_T10",
    "ORU_R30": "ORU_R31 ORU_R32",
    "OUL_R22": "OUL_R23 OUL_R24",
    "PPG_PCG": "PPG_PCH PPG_PCJ",
    "PPP_PCB": "PPP_PCC PPP_PCD",
    "PGL_PC6": "PGL_PC7 PGL_PC8",
    "PPR_PC1": "PPR_PC2 PPR_PC3",
    "RDE_O11": "RDE_O25",
    "REF_I12": "REF_I13 REF_I14 REF_I15",
    "SIU_S12": "SIU_S13 SIU_S14 SIU_S15 SIU_S16 SIU_S17 SIU_S18 SIU_S19 SIU_S20 SIU_S21 SIU_S22 "
    "SIU_S23 SIU_S24 SIU_S26 SIU_S27",
}
_STRUCTURES: Final[Mapping[str, str]] = {
    event: structure for structure, events in _SHARED.items() for event in events.split()
}


def structure_of(event: str) -> str:
    """``ADT_A08`` → ``ADT_A01``; an event that shares no structure has that of its own name."""
    return _STRUCTURES.get(event, event)
