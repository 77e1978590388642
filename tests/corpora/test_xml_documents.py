"""Real CDA documents, C-CDA fragments and HIP v3 messages: read, given back, and every place that
explaining shows is a path that finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract import Payload
from engine.formats import FORMATS, XmlDocument
from engine.formats.xml import place_of, text_inside, xml_lines
from engine.mapping import compile_expression
from engine.syntax import Diagnostics, Position, Scalar
from tests.unit.mapping.reading import CONTEXT

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
FILES = sorted(CORPORA.rglob("*.xml"))


def test_there_are_documents() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_document(path: Path) -> None:
    body = path.read_bytes()
    format = "xml" if b"http://hl7.org/fhir" in body[:500] else "cda"
    document = FORMATS[format].parse(Payload(body))
    assert isinstance(document, XmlDocument)
    assert FORMATS[format].write(document).body == body
    again = FORMATS[format].write(document, charset="gb18030")
    assert xml_lines(again) == xml_lines(FORMATS[format].write(document, charset="utf-8"))
    elements = list(document.value.iter())
    for element in elements[:: max(1, len(elements) // 20)]:
        place = place_of(element)
        scalar = Scalar(f"{place} | text", True, Position("x", 1, 1))
        diagnostics = Diagnostics()
        prefixes = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
        found = compile_expression(
            scalar, format=format, diagnostics=diagnostics, namespaces=prefixes
        )
        assert found is not None, [str(one) for one in diagnostics.items]
        assert found.value(document, CONTEXT) == text_inside(element)
