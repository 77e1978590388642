"""What a payload says, leaf by leaf: for people who compare two of them.

JSON and FHIR by their paths (``entry[1].resource.gender``), HL7 v2 by its fields (``OBX[2]-5``);
every other format line by line.
"""

from __future__ import annotations

from typing import Any, Final

from engine.contract import FormatError, Payload
from engine.formats.charsets import find_charset
from engine.formats.json import read_json

_TREES: Final = frozenset({"json", "fhir"})


def leaves(payload: Payload, format: str) -> dict[str, str]:
    """Texts by place, in the order of the payload; indexes count from 1.  Never raises."""
    found: dict[str, str] = {}
    if format in _TREES:
        try:
            _walk(read_json(payload.body, payload.charset), "", found)
            return found
        except FormatError:
            found.clear()
    text = _text(payload)
    if format == "hl7v2":
        _fields(text, found)
    else:
        found.update((f"line {n}", line) for n, line in enumerate(text.splitlines(), 1) if line)
    return found


def changes(
    old: dict[str, str], new: dict[str, str]
) -> tuple[tuple[str, str | None, str | None], ...]:
    """Place, old and new text where they differ; None where one of them has nothing."""
    return tuple(
        (place, old.get(place), new.get(place))
        for place in dict.fromkeys((*old, *new))
        if old.get(place) != new.get(place)
    )


def _walk(value: Any, place: str, found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, inside in value.items():
            _walk(inside, f"{place}.{key}" if place else key, found)
    elif isinstance(value, list):
        for number, inside in enumerate(value, start=1):
            _walk(inside, f"{place}[{number}]", found)
    elif isinstance(value, bool):
        found[place] = "true" if value else "false"
    else:
        found[place] = "null" if value is None else str(value)


def _fields(text: str, found: dict[str, str]) -> None:
    seen: dict[str, int] = {}
    for line in text.replace("\n", "\r").split("\r"):
        name = line[:3]
        if not name.strip():
            continue
        seen[name] = seen.get(name, 0) + 1
        separator = line[3:4] or "|"
        fields = line.split(separator)
        first = 2 if name == "MSH" else 1  # MSH-1 is the separator itself
        place = name if seen[name] == 1 else f"{name}[{seen[name]}]"
        for number, field in enumerate(fields[1:], start=first):
            if field:
                found[f"{place}-{number}"] = field


def _text(payload: Payload) -> str:
    known = find_charset(payload.charset or "utf-8")
    return payload.body.decode(known.codec if known else "utf-8", "replace")
