"""Where an element is: ``PID-5.1``, ``PID-3[2].4.1``, ``OBX[2]-5``, the path grammar of mappings
without their selectors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from engine.contract import Stage
from engine.formats.errors import format_error

_PATH: Final = re.compile(
    r"([A-Z][A-Z0-9]{2})(?:\[([1-9]\d{0,4})\])?-([1-9]\d{0,2})(?:\[([1-9]\d{0,4})\])?"
    r"(?:\.([1-9]\d{0,2})(?:\.([1-9]\d{0,2}))?)?"
)


@dataclass(frozen=True, slots=True)
class Path:
    """``occurrence`` counts segments of this name; None is a level that the path leaves open."""

    segment: str
    occurrence: int
    field: int
    repetition: int | None
    component: int | None
    subcomponent: int | None


@lru_cache(maxsize=1024)
def parse_path(text: str) -> Path:
    """Raises FormatError (HL7-PATH)."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise format_error("HL7-PATH", stage=Stage.MAPPING)
    segment, occurrence, field, repetition, component, subcomponent = match.groups()
    return Path(
        segment,
        int(occurrence or 1),
        int(field),
        int(repetition) if repetition else None,
        int(component) if component else None,
        int(subcomponent) if subcomponent else None,
    )
