"""Which validator checks documents of a format: what ``validate:`` of a channel and ``carebus
validate`` ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from engine.contract import Document
from engine.formats.fhir.definitions import VERSIONS
from engine.formats.fhir.validation import validate_completely, validate_resource
from engine.formats.findings import Finding
from engine.formats.hl7v2 import Hl7Message
from engine.formats.hl7v2.complete import validate_message_completely
from engine.formats.hl7v2.validation import validate_message

Validator: TypeAlias = Callable[[Document], tuple[Finding, ...]]
"""What is wrong with a document; empty when it is valid.  One call at a time; may take long."""

if TYPE_CHECKING:
    from engine.formats.xml.schema import XmlSchema

_BY_SCHEMA: Final = {
    "json": "a JSON Schema",
    "xml": "an XSD",
    "soap": "an XSD or a WSDL",
    "cda": "an XSD",
}


class NoValidator(ValueError):
    """There is no such validator.  The text says what to write instead."""


def validator(
    format: str, *, complete: bool = False, version: str = "R4", schema: Path | None = None
) -> Validator:
    """The validator of a format.

    ``complete``: also what a slower, second library knows (FHIR, HL7 v2).  ``version``: of FHIR.
    ``schema``: a file, which JSON and XML formats need.  Raises NoValidator.
    """
    if format in _BY_SCHEMA:
        if schema is None:
            raise NoValidator(f"{format} is checked against {_BY_SCHEMA[format]}: name its file")
        return _by_schema(format, schema)
    if schema is not None and format != "fhir":
        raise NoValidator(f"{format} is not checked against a schema")
    if format == "fhir":
        if schema is not None:
            raise NoValidator("FHIR is checked against its own definitions, not against a schema")
        if version not in VERSIONS:
            raise NoValidator(f"the FHIR versions are {' and '.join(VERSIONS)}")
        check = validate_completely if complete else validate_resource
        return lambda document: check(_value(document), version=version)
    if format == "hl7v2":
        whole = validate_message_completely if complete else validate_message
        return lambda document: whole(document) if isinstance(document, Hl7Message) else ()
    raise NoValidator(f"nothing is known that makes a document of format {format} valid")


def _by_schema(format: str, schema: Path) -> Validator:
    try:
        if format == "json":
            from engine.formats.json_schema import JsonSchema

            of_json = JsonSchema(schema.read_bytes())
            return lambda document: of_json.validate(_value(document))
        from engine.formats.xml.schema import XmlSchema

        if schema.suffix.lower() == ".wsdl":
            of_xml = XmlSchema.attached(schema.name, partial(_beside, schema.parent))
        else:
            of_xml = XmlSchema(schema)
        return lambda document: _content_findings(of_xml, _value(document))
    except OSError:
        raise NoValidator("the schema's file cannot be read") from None
    except ValueError as error:
        raise NoValidator(str(error)) from None


def _content_findings(schema: XmlSchema, root: Any) -> tuple[Finding, ...]:
    """Of a SOAP envelope the content of its body counts."""
    from engine.formats.xml import content_of

    content = content_of(root)
    return (Finding("", "an empty envelope"),) if content is None else schema.validate(content)


def _beside(folder: Path, name: str) -> bytes | None:
    file = folder / name
    return file.read_bytes() if file.is_file() else None


def _value(document: Document) -> Any:
    return getattr(document, "value", None)
