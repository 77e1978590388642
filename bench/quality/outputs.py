"""Every message of the shared folders converted to FHIR: does it come out, is it valid, and how
much of it was read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.quality.corpora import CORPORA, messages, official_structures
from bench.quality.measuring import told
from engine.contract import EngineError
from engine.formats.fhir.validation import validate_resource
from engine.formats.json import read_json
from engine.mapping import Converter
from engine.mapping.conversion import messages_of


@dataclass(slots=True)
class Output:
    """One message.  ``official``: HL7 publishes a map for its structure."""

    name: str
    official: bool = False
    mapping: str = ""
    failure: str = ""
    findings: tuple[str, ...] = ()


@dataclass(slots=True)
class Outputs:
    every: list[Output] = field(default_factory=list)

    @property
    def official(self) -> list[Output]:
        return [one for one in self.every if one.official]


def convert_all(converter: Converter) -> Outputs:
    found, official = Outputs(), official_structures()
    for path in messages():
        for number, body in enumerate(_messages(path), start=1):
            name = f"{path.relative_to(CORPORA)}{f'[{number}]' if number > 1 else ''}"
            output = Output(name)
            found.every.append(output)
            try:
                output.official = not official.isdisjoint(converter.type_of(body).names)
                ready = converter.prepare(body, "fhir")
                output.mapping = ready.mapping.name
                made = ready.mapping.render(ready.document, ready.context).body
            except EngineError as error:
                output.failure = told(error)
                continue
            output.findings = invalid(read_json(made))
    return found


def invalid(resource: Any) -> tuple[str, ...]:
    """What R4 says is wrong with it, without the numbers of list items."""
    return tuple(str(finding) for finding in validate_resource(resource))


def frequent(texts: list[str], most: int = 20) -> list[tuple[str, int]]:
    return Counter(texts).most_common(most)


def _messages(path: Path) -> tuple[bytes, ...]:
    body = path.read_bytes()
    try:
        return messages_of(body)
    except EngineError:
        return (body,)
