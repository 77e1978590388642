"""What messages are found by when a channel's file says nothing else: name → path, by format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEFAULT_INDEX: Final[Mapping[str, Mapping[str, str]]] = {
    "hl7v2": {
        "patient": "PID-3.1",
        "visit": "PV1-19.1",
        # An order without ORC names itself in OBR (HL7 2.5.1 ch. 4.5.3).
        "order": "= ORC-2.1 ?? OBR-2.1",
    },
    # The laboratory's number of the patient, the specimen (LIS02-A2 7.1, 8.4.3).
    "astm": {"patient": "= P-4.1 ?? P-3.1", "order": "O-3.1"},
    "cda": {"patient": "/ClinicalDocument/recordTarget/patientRole/id.@extension"},
    "fhir": {"patient": "= Patient.identifier.value ?? Patient.id"},
}
