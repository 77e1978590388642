"""Every message of the shared folders converted to FHIR: does it come out, is it valid, and how
much of it was read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.quality.corpora import CORPORA, messages, official_structures
from bench.quality.measuring import told
from engine.contract import EngineError, Payload
from engine.formats import FORMATS, detect
from engine.formats.fhir.validation import validate_resource
from engine.formats.json import read_json
from engine.mapping import Converter, Ledger
from engine.mapping.accounting import Use
from engine.mapping.catalogue import type_of
from engine.mapping.conversion import messages_of
from engine.mapping.leaves import placed_document


@dataclass(slots=True)
class Output:
    """One message.  ``official``: HL7 publishes a map for its structure."""

    name: str
    official: bool = False
    mapping: str = ""
    failure: str = ""
    findings: tuple[str, ...] = ()
    leaves: int = 0
    ledger: Ledger | None = None


@dataclass(slots=True)
class Outputs:
    every: list[Output] = field(default_factory=list)

    @property
    def official(self) -> list[Output]:
        return [one for one in self.every if one.official]


def convert_all(converter: Converter, words: Iterable[str] = ()) -> Outputs:
    """Those whose path has all the words."""
    found, official = Outputs(), official_structures()
    for path in messages():
        if not all(word in str(path.relative_to(CORPORA)) for word in words):
            continue
        for number, body in enumerate(_messages(path), start=1):
            name = f"{path.relative_to(CORPORA)}{f'[{number}]' if number > 1 else ''}"
            output = Output(name)
            found.every.append(output)
            try:
                document = FORMATS[detect(body)].parse(Payload(body))
                output.leaves = len(placed_document(document)[1])
                output.official = not official.isdisjoint(type_of(document).names)
                ready = converter.prepare(body, "fhir")
                output.mapping = ready.mapping.name
                made = ready.mapping.render(ready.document, ready.context).body
            except EngineError as error:
                output.failure = told(error)
                continue
            output.findings = invalid(read_json(made))
            output.ledger = converter.ledger(ready)
    return found


def invalid(resource: Any) -> tuple[str, ...]:
    """What R4 says is wrong with it, without the numbers of list items."""
    return tuple(str(finding) for finding in validate_resource(resource))


def frequent(texts: list[str], most: int = 20) -> list[tuple[str, int]]:
    return Counter(texts).most_common(most)


def total_of(part: Iterable[Output]) -> Counter[Use]:
    """How many leaves of the source were used, tested …"""
    return sum((one.ledger.counts for one in part if one.ledger is not None), Counter())


def unused_fields(part: Iterable[Output]) -> list[tuple[str, int, int]]:
    """What nobody reads: ``PID-10.1``, how often it is there, in how many messages."""
    leaves: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    for one in part:
        if one.ledger is not None:
            places = [re.sub(r"\[\d+\]", "", entry.place) for entry in one.ledger.unused]
            leaves.update(places)
            messages.update(set(places))
    return [(place, count, messages[place]) for place, count in leaves.most_common()]


def _messages(path: Path) -> tuple[bytes, ...]:
    body = path.read_bytes()
    try:
        return messages_of(body)
    except EngineError:
        return (body,)
