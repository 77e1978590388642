"""What a test case expects of single places of an output: ``contains:`` and ``absent:``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import orjson

from engine.contract import Document, MapContext, MessageId, Payload
from engine.formats import FORMATS, FhirDocument, JsonDocument, XmlDocument
from engine.formats.json import read_json
from engine.formats.null import NULL
from engine.mapping.comparing import spelled
from engine.mapping.compiling import compile_expression
from engine.mapping.grammar import is_expression
from engine.mapping.map_calls import Subject
from engine.mapping.values import text_of
from engine.syntax import Diagnostics, Mapping, Scalar, Sequence

CASE_TIME: Final = datetime(2024, 1, 15, 8, tzinfo=UTC)
"""The time of acceptance where a case does not say another."""
_WHOLE: Final = re.compile(r"\(+\$|\(*[A-Z]|fhirpath\(")
"""What begins an expression over a FHIR output, whose elements have small letters."""


class Places:
    """The places of one output."""

    def __init__(self, output: Payload, subject: Subject, diagnostics: Diagnostics) -> None:
        self.subject, self.diagnostics = subject, diagnostics
        self.document: Document
        if subject.format == "fhir":
            self.document = FhirDocument(read_json(output.body))
        elif subject.format == "json":
            self.document = JsonDocument(read_json(output.body))
        else:
            self.document = FORMATS[subject.format].parse(output)

    def problems(self, case: Mapping) -> list[str]:
        """What ``contains:`` and ``absent:`` of a case want and this output does not have."""
        problems = []
        contains = case.get("contains")
        for key, value in contains.entries if isinstance(contains, Mapping) else ():
            found = self.at(key)
            expected = self.expected(value) if isinstance(value, Scalar) else None
            if expected is None or found != expected:
                shown = "a text" if expected is None else repr(expected)
                problems.append(f"{key.text}: expected {shown}, came {found!r}")
        absent = case.get("absent")
        items = absent.items if isinstance(absent, Sequence) else (absent,) if absent else ()
        for item in items:
            if isinstance(item, Scalar):
                found = self.at(item)
                if found is not None:
                    problems.append(f"{item.text}: expected to be absent, came {found!r}")
        return problems

    def expected(self, value: Scalar) -> str | None:
        """The text itself, or what stands at another place: ``= Patient.id``."""
        if not is_expression(value.text):
            return value.text[1:] if value.text.startswith("==") else value.text
        return self.at(Scalar(value.text[1:].strip(), True, value.position))

    def at(self, path: Scalar) -> str | None:
        """What stands at a path of the output, as text; None for nothing."""
        format, text = self.subject.format, path.text
        if isinstance(self.document, XmlDocument):
            text = text if text.startswith(("/", "$")) else f"/{text}"
        elif format == "fhir" and _WHOLE.match(text):
            pass
        elif format in ("json", "fhir", "delimited") and not text.startswith("$"):
            text = f"$src{text}" if text.startswith("[") else f"$src.{text}"
        expression = compile_expression(
            Scalar(text, True, path.position),
            format=format,
            diagnostics=self.diagnostics,
            namespaces=self.subject.mapping.target_namespaces,
            layout=self.subject.mapping.target_layout,
        )
        if expression is None:
            return None
        found = expression.value(self.document, MapContext(MessageId("example"), CASE_TIME))
        if found is None:
            return None
        if found is NULL:
            return '""'
        try:
            return text_of(found)
        except ValueError:
            return orjson.dumps(spelled(found)).decode()
