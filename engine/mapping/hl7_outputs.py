"""HL7 v2 outputs against the dictionary: segments that the message does not have or has elsewhere,
fields that do not exist, may not repeat or are required.

Only what the mapping writes itself is looked at; what a map gives is that map's.  Z segments are
free, and so is a message that HL7 does not know.
"""

from __future__ import annotations

import re
from typing import Final

from engine.formats.hl7v2.dictionary import WITHDRAWN, segment_fields
from engine.formats.hl7v2.structure import ANY, Group
from engine.formats.hl7v2.structure_table import definition, structure_of_event
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_OPEN: Final = frozenset({"$use", "$case", "$first", "$merge", "$refer", "$raise", "$copy"})
_FILLED: Final = frozenset({1, 2, 18})


def check_hl7_output(out: Node, to: Node | None, diagnostics: Diagnostics) -> None:
    """Warnings for the tree under ``out:``."""
    message, version = _text(to, "message"), _text(to, "version")
    name = structure_of_event(*message.split("^", 1)) if "^" in message else message
    group = definition(name or message)
    filled = set(_FILLED) | ({9} if message else set()) | ({12} if version else set())
    _Check(message, group, version, filled, diagnostics).group(out)


class _Check:
    def __init__(
        self,
        message: str,
        structure: Group | None,
        version: str,
        filled: set[int],
        diagnostics: Diagnostics,
    ) -> None:
        self.message = message
        self.structure = structure
        self.version = version
        self.filled = filled
        self.diagnostics = diagnostics
        self.order = [] if structure is None else list(_flat(structure))

    def group(self, node: Node) -> None:
        """A message or a group: segments and groups by name."""
        if isinstance(node, Sequence):
            for item in node.items:
                self.group(item)
        if not isinstance(node, Mapping):
            return
        at, before = 0, ""
        for key, value in node.entries:
            name = key.text
            if name.startswith("$"):
                continue
            if _SEGMENT.fullmatch(name) is None:
                self.group(value)
                continue
            self.segment(name, value)
            if self.structure is None or name.startswith("Z") or ANY in self.structure.names:
                continue
            places = [number for number, one in enumerate(self.order) if one == name]
            later = [number for number in places if number >= at]
            if not places:
                self.diagnostics.at(
                    "M724",
                    key,
                    f"{self.message} has no segment {name}",
                    help=did_you_mean(name, self.structure.names),
                )
            elif later:
                at, before = later[0], name
            else:
                self.diagnostics.at(
                    "M725", key, f"in {self.message} {name} does not stand after {before}"
                )

    def segment(self, name: str, node: Node) -> None:
        if isinstance(node, Sequence):
            for item in node.items:
                self.segment(name, item)
        fields = segment_fields(name)
        if not isinstance(node, Mapping) or not fields:
            return
        written: set[int] = set()
        for key, value in node.entries:
            if not key.text.isdecimal():
                continue
            number = int(key.text)
            written.add(number)
            several = fields.get(number)
            if several is None:
                last = max(fields)
                self.diagnostics.at(
                    "M726", key, f"{name}-{number} does not exist: the last field is {name}-{last}"
                )
            elif self.version and not any(self.version in one.versions for one in several):
                self.diagnostics.at("M726", key, f"{name}-{number} is not in {self.version}")
            elif (
                isinstance(value, Sequence)
                and len(value.items) > 1
                and not any(one.repeats for one in several)
            ):
                self.diagnostics.at("M727", key, f"{name}-{number} does not repeat")
        if any(key.text in _OPEN for key, _ in node.entries):
            return
        for number, several in fields.items():
            counted = [one for one in several if self.version in ("", *one.versions)]
            if (
                counted
                and all(one.required and one.type != WITHDRAWN for one in counted)
                and number not in written
                and not (name == "MSH" and number in self.filled)
            ):
                self.diagnostics.at(
                    "M728", node, f"{name}-{number} ({counted[-1].name}) is required"
                )


def _flat(group: Group) -> list[str]:
    found: list[str] = []
    for part in group.parts:
        found += [part.name] if part.group is None else _flat(part.group)
    return found


def _text(node: Node | None, key: str) -> str:
    given = node.get(key) if isinstance(node, Mapping) else None
    return given.text if isinstance(given, Scalar) else ""
