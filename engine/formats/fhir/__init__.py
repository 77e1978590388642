"""FHIR: resources in JSON (`document`), the official definitions (`definitions`), and whether a
resource keeps to them (`validation`)."""

from __future__ import annotations

from engine.formats.fhir.document import FhirDocument, FhirFormat

__all__ = ["FhirDocument", "FhirFormat"]
