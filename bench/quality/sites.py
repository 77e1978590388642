"""Which shipped overlay makes the message of a pair that a site's own transformation made.

The overlays are those of ``mappings/sites``: one for each kind of agency, with the agency as its
parameter.  Nothing here holds a value that is expected of a pair.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Overlay:
    mapping: str
    params: dict[str, str] = field(default_factory=dict)


# The manifest names no site for these two; their message is addressed to California's CDPH.
_UNNAMED: Final = {
    "rsd/sample_SR_1_20230302-0001": "CA",
    "rsd/sample_SR_1_20230302-0001-missing-data": "CA",
}
# Agencies that want something else than answers to questions at order entry as results.
_KINDS: Final = {
    "CA": "sites/reportstream-notes-fhir-to-oru",
    "IL": "sites/reportstream-results-fhir-to-oru",
    "MT": "sites/reportstream-results-fhir-to-oru",
}


def overlay_of(id: str, site: str | None) -> Overlay | None:
    """``site`` as the manifest says it (``NH-receiver-transform.yml``); None where no site has a
    part in what is expected."""
    receiver = site.partition("-")[0].upper() if site else _UNNAMED.get(id)
    if receiver is None:
        return None
    return Overlay(_KINDS.get(receiver, "sites/reportstream-fhir-to-oru"), {"receiver": receiver})
