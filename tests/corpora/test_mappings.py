"""Every ADT and ORU message of the corpora goes through the shipped mappings.

A message that names its patient gives a Bundle that is valid FHIR R4; one that does not is refused
with the documented error.  Without the corpora folder, the cases beside the mappings are all there
is (tests/unit/mapping/test_shipped.py), and this file says so by testing nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle

from engine.contract import EngineError, MapContext, MappingError, MessageId, Payload
from engine.formats import FORMATS
from engine.formats.hl7v2 import Hl7Message
from engine.mapping import CompiledMapping, FolderLibrary, compile_mapping
from engine.syntax import Diagnostics, read_yaml

PROJECT = Path(__file__).parents[2]
CORPORA = PROJECT.parent / "shared" / "corpora"
CONTEXT = MapContext(MessageId("corpora"), datetime(2024, 1, 15, tzinfo=UTC))


def shipped(name: str) -> CompiledMapping:
    diagnostics = Diagnostics()
    text = (PROJECT / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")
    root = read_yaml(text, f"mappings/{name}.yaml", diagnostics)
    assert root is not None
    library = FolderLibrary(PROJECT / "mappings")
    found = compile_mapping(root, diagnostics=diagnostics, library=library, name=name)
    assert found is not None
    return found


def messages(kind: str) -> Iterator[tuple[Path, Hl7Message]]:
    for path in sorted(CORPORA.rglob("*.hl7")):
        try:
            document = FORMATS["hl7v2"].parse(Payload(path.read_bytes()))
        except EngineError:
            continue  # answered with AE or AR before any mapping
        assert isinstance(document, Hl7Message)
        if document.type.startswith(kind):
            yield path, document


@pytest.mark.parametrize(("name", "kind"), [("adt-to-fhir", "ADT"), ("oru-to-fhir", "ORU")])
def test_every_message_gives_a_valid_bundle_or_names_no_patient(name: str, kind: str) -> None:
    mapping = shipped(name)
    for path, message in messages(kind):
        named = message.get("PID-3") not in (None, '""') or message.get("PID-2") is not None
        if not named and message.segment("PID") is not None:
            with pytest.raises(MappingError) as caught:
                mapping.apply(message, CONTEXT)
            assert caught.value.info.code in ("R101", "R102"), path
            message.set("PID-3", "T1")  # many samples leave it out: test the rest of them too
        elif not named:
            with pytest.raises(MappingError):
                mapping.apply(message, CONTEXT)
            continue
        payload = mapping.render(message, CONTEXT)
        Bundle.model_validate_json(payload.body)
        assert mapping.render(message, CONTEXT).body == payload.body, path
