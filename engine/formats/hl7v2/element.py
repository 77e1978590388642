"""The parts of one field's text, as it is written: repetition, component, sub-component.

Numbers begin at 1, as in HL7; what is not there is empty text.  The parts are still escaped:
`Separators.unescape` comes last, so that an escaped separator never splits anything.
"""

from __future__ import annotations


def part(raw: str, number: int, separator: str) -> str:
    """The ``number``-th piece of ``raw`` between separators."""
    if separator not in raw:
        return raw if number == 1 else ""
    pieces = raw.split(separator, number)
    return pieces[number - 1] if number <= len(pieces) else ""


def parts(raw: str, separator: str) -> list[str]:
    """Every piece, none for an empty field."""
    return raw.split(separator) if raw else []


repetition = part
component = part
subcomponent = part
repetitions = parts
components = parts
subcomponents = parts
