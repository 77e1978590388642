"""Test cases of one map: ``map: XPN_HumanName`` with ``with: {xpn: BERG^ANNA}``.

Such a case becomes a mapping of its own, whose output is the map's: what `$use` and `$with` mean
is said in one place only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

import orjson

from engine.contract import Payload
from engine.mapping.ast import SEGMENTED
from engine.mapping.comparing import spelled
from engine.mapping.compilation import Compilation
from engine.mapping.compiled import CompiledMapping
from engine.mapping.grammar import is_expression
from engine.mapping.library import Library
from engine.mapping.mapfile import MapFile, canonical, read_file
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence
from engine.syntax.nearest import did_you_mean

_SEGMENT: Final = re.compile(r"([A-Z][A-Z0-9]{2})\|", re.ASCII)
_GIVEN: Final = "ZWW"
"""The segment that holds the fields that a case gives."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a case runs: a mapping, or a map with its arguments."""

    mapping: CompiledMapping
    """In its instrumented form."""
    format: str
    """Of what comes out, and of what is expected."""
    alone: bool = False
    """A map: its output is a part of a message, shown as JSON."""
    segments: tuple[str, ...] = ()
    """What its arguments add to the input, an HL7 v2 message."""

    def written(self, tree: object) -> Payload:
        """Raises FormatError and MappingError as `CompiledMapping.written` does."""
        return Payload(orjson.dumps(spelled(tree))) if self.alone else self.mapping.written(tree)


class MapCalls:
    """The maps of one library as test cases call them; each call is compiled once."""

    def __init__(self, file: MapFile, library: Library, diagnostics: Diagnostics) -> None:
        self.file, self.library, self.diagnostics = file, library, diagnostics
        self.source = file.source or "hl7v2"
        self._known: dict[tuple[object, ...], Subject | None] = {}

    def subject(self, case: Mapping) -> Subject | None:
        """None after a diagnostic."""
        name, given = case.get("map"), case.get("with")
        if not isinstance(name, Scalar) or name.text not in self.file.maps:
            text = name.text if isinstance(name, Scalar) else ""
            self.diagnostics.at(
                "M901",
                name or case,
                f"'{self.file.name}' has no map '{text}'" if text else "'map:' names a map",
                help=did_you_mean(text, self.file.maps),
            )
            return None
        entries = given.entries if isinstance(given, Mapping) else ()
        segments: list[str] = []
        fields: list[str] = []
        arguments: list[tuple[Scalar, Node]] = []
        for key, value in entries:
            if self.source in SEGMENTED and isinstance(value, Scalar):
                arguments.append((key, self._placed(value, segments, fields)))
            else:
                arguments.append((key, value))
        if fields:
            segments.append("|".join([_GIVEN, *fields]))
        call = (name.text, *((one.text, canonical(to)) for one, to in arguments))
        if call not in self._known:
            mapping = self._compiled(case, name, tuple(arguments))
            format = "fhir" if mapping and mapping.target_format == "fhir" else "json"
            self._known[call] = Subject(mapping, format, True) if mapping else None
        found = self._known[call]
        return found and replace(found, segments=tuple(segments))

    def _placed(self, value: Scalar, segments: list[str], fields: list[str]) -> Scalar:
        """A path to what the case gives as HL7 v2 text: a segment, or a field."""
        if is_expression(value.text):
            return value
        text = value.text.strip()
        segment = _SEGMENT.match(text)
        if segment is None:
            fields.append(text)
            path = f"= {_GIVEN}-{len(fields)}"
        else:
            segments.append(text)
            path = f"= {segment[1]}[last]"
        return Scalar(path, True, value.position)

    def _compiled(
        self, case: Mapping, name: Scalar, arguments: tuple[tuple[Scalar, Node], ...]
    ) -> CompiledMapping | None:
        place = name.position

        def text(of: str) -> Scalar:
            return Scalar(of, True, place)

        def formats(key: str, otherwise: str) -> tuple[Scalar, Node]:
            given = self.file.root.get(key)
            found = given or Mapping(((text("format"), text(otherwise)),), place)
            return text(key), found

        call: list[tuple[Scalar, Node]] = [(text("$use"), name)]
        if arguments:
            call.append((text("$with"), Mapping(arguments, place)))
        root = Mapping(
            (
                formats("from", "hl7v2"),
                formats("to", "fhir"),
                (text("import"), Sequence((text(self.file.name),), place)),
                (text("out"), Mapping(tuple(call), place)),
            ),
            case.position,
        )
        own = Diagnostics()
        file = read_file(root, "", self.library, own)
        mapping = (
            None if file is None else Compilation(file, self.library, own, trace=True).compile()
        )
        self.diagnostics.extend(own)
        return None if own.has_errors else mapping
