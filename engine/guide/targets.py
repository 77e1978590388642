"""The guide's target paths: ``participant[1].individual(Practitioner.name)``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_STEP: Final = re.compile(r"(?P<name>\$?[A-Za-z]\w*)?(?:\[(?P<label>[^\]]*)\])?$")
_INNER: Final = re.compile(r"(?:\[\w+\])?(?P<type>[A-Z]\w+)(?:\[(?P<label>\w+)\])?\.?(?P<rest>.*)$")


class TargetError(ValueError):
    """The text is no path."""


@dataclass(frozen=True, slots=True)
class Step:
    """``identifier[2]``: the label tells entries of a list apart, it is no index."""

    name: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """``steps``, and where the last one is a reference, the resource it means and the rest of the
    path in that resource."""

    steps: tuple[Step, ...]
    resource: str = ""
    within: Target | None = None


def parse_target(text: str) -> Target:
    """Raises TargetError.  ``note(Annotation.text)`` is no reference: it reads ``note.text``."""
    head, opened, inside = text.partition("(")
    steps = tuple(_step(part) for part in head.strip(". ").split(".") if part)
    if not opened:
        return Target(steps)
    inside = inside.strip()
    inside = inside[:-1] if inside.endswith(")") else inside
    found = _INNER.match(inside)
    if found is None or "|" in inside:
        raise TargetError(f"'{inside}' is no resource")
    rest = found["rest"].strip(".")
    if found["type"] == "Annotation":
        return Target((*steps, *parse_target(rest).steps))
    return Target(steps, found["type"], parse_target(rest) if rest else None)


def _step(part: str) -> Step:
    found = _STEP.match(part.strip())
    if found is None:
        raise TargetError(f"'{part}' is no element")
    return Step(found["name"] or "", found["label"] or "")
