"""Every HL7 v2 message of the corpora goes through the shipped mapping that takes its type.

The Bundle is valid FHIR R4 in its structure, and the same each time.  Without the corpora folder,
the cases beside the mappings are all there is (tests/unit/mapping/test_shipped.py), and this file
says so by testing nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
import pytest

from engine.contract import EngineError, Payload
from engine.formats import FORMATS
from engine.formats.fhir.validation import validate_resource
from engine.formats.hl7v2 import Hl7Message
from engine.mapping import Converter

PROJECT = Path(__file__).parents[2]
CORPORA = PROJECT.parent / "shared" / "corpora"
FAMILIES = (
    "ADT", "BAR", "DFT", "MDM", "MFN", "OMG", "OML", "OMP", "ORM", "ORU", "PPR", "QBP", "RAS",
    "RDE", "RSP", "SIU", "VXU",
)  # fmt: skip
"""The messages that the guide has tables for, and those that are mapped by the same tables."""

BARE: Final = "an extension has a value or extensions, and not both"
"""What two messages give whose only code of a citizenship or an event is unreadable."""


def messages(kind: str) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(CORPORA.rglob("*.hl7")):
        content = path.read_bytes()
        try:
            document = FORMATS["hl7v2"].parse(Payload(content))
        except EngineError:
            continue  # answered with AE or AR before any mapping
        if isinstance(document, Hl7Message) and document.type.startswith(kind):
            yield path, content


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_message_gives_a_valid_bundle(kind: str) -> None:
    converter = Converter(PROJECT / "mappings")
    for path, content in messages(kind):
        found = converter.convert(content, "fhir", format="hl7v2").body
        problems = [str(one) for one in validate_resource(orjson.loads(found))]
        assert [one for one in problems if BARE not in one] == [], path
        assert converter.convert(content, "fhir", format="hl7v2").body == found, path
