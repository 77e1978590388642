"""Strict validation of FHIR resources: the front door for channels, tests and the command."""

from __future__ import annotations

from typing import Any

from engine.formats.fhir.definitions import definitions
from engine.formats.fhir.links import check_links
from engine.formats.fhir.structure import MOST_FINDINGS, Walk
from engine.formats.findings import Finding


def validate_resource(resource: Any, *, version: str = "R4") -> tuple[Finding, ...]:
    """What is wrong with a resource in plain JSON; empty when it is valid.

    ``version`` is one of `engine.formats.fhir.definitions.VERSIONS`.  At most `MOST_FINDINGS`.
    """
    walk = Walk(definitions(version))
    walk.resource(resource, None)
    if isinstance(resource, dict) and len(walk.findings) < MOST_FINDINGS:
        walk.findings += check_links(resource, walk.references)
    return tuple(walk.findings[:MOST_FINDINGS])


def validate_completely(resource: Any, *, version: str = "R4") -> tuple[Finding, ...]:
    """The same, and what the models of fhir.resources find besides; several times slower."""
    found = validate_resource(resource, version=version)
    if not isinstance(resource, dict):
        return found
    from engine.formats.fhir.models import check_models  # a large library, for those who ask

    places = {one.place for one in found}
    more = (one for one in check_models(resource, version) if one.place not in places)
    return (*found, *more)[:MOST_FINDINGS]
