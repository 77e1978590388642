"""Schemas of a project, the complete check of FHIR, and what cannot be validated."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract import Payload
from engine.formats import FORMATS
from engine.formats.findings import Finding
from engine.formats.validators import NoValidator, Validator, validator

JSON_SCHEMA = """{"type": "object", "required": ["patient"], "additionalProperties": false,
  "properties": {"patient": {"type": "string", "pattern": "^[0-9]+$"},
    "amount": {"type": "number"}}}"""
XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:element name="order"><xs:complexType>
  <xs:sequence><xs:element name="count" type="xs:int"/></xs:sequence>
  <xs:attribute name="id" use="required"/></xs:complexType></xs:element></xs:schema>"""


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    (tmp_path / "order.json").write_text(JSON_SCHEMA)
    (tmp_path / "order.xsd").write_text(XSD)
    (tmp_path / "far.json").write_text('{"$ref": "http://schema.example/x.json"}')
    return tmp_path


def found(check: Validator, format: str, text: str) -> list[str]:
    return [str(one) for one in check(FORMATS[format].parse(Payload(text.encode())))]


def test_json_schema(schemas: Path) -> None:
    check = validator("json", schema=schemas / "order.json")
    assert found(check, "json", '{"patient": "47", "amount": 1.50}') == []
    assert found(check, "json", '{"patient": "SECRET"}') == [
        "$.patient: breaks 'pattern' of the schema"
    ]
    assert sorted(found(check, "json", '{"SECRET": 1}')) == [
        "$: 'patient' is missing",
        "$: breaks 'additionalProperties' of the schema",
    ]


def test_a_key_that_may_be_a_value_is_not_shown(tmp_path: Path) -> None:
    schema = tmp_path / "by-number.json"
    schema.write_text('{"additionalProperties": {"items": {"type": "string"}}}')
    assert found(validator("json", schema=schema), "json", '{"4711": ["a", 1]}') == [
        "$.?[1]: breaks 'type' of the schema"
    ]


def test_xsd(schemas: Path) -> None:
    check = validator("xml", schema=schemas / "order.xsd")
    assert found(check, "xml", '<order id="1"><count>2</count></order>') == []
    assert found(check, "xml", "<order><count>SECRET</count><SECRET/></order>")[:2] == [
        "/order: a required attribute is missing",
        "/order/count: the value does not have the type of the schema",
    ]
    assert found(check, "xml", "<bill/>") == ["/bill: the schema does not declare this element"]


def test_complete_adds_what_the_models_find() -> None:
    complete, fast = validator("fhir", complete=True), validator("fhir")
    right = '{"resourceType": "Patient", "active": true}'
    wrong = '{"resourceType": "Patient", "active": "true", "nome": []}'
    assert found(complete, "fhir", right) == found(fast, "fhir", right) == []
    assert found(complete, "fhir", wrong) == [
        "Patient.active: true or false is wanted",
        "Patient.nome: there is no such element",
    ]
    assert found(validator("fhir", complete=True, version="R5"), "fhir", wrong)


def test_models_are_asked() -> None:
    from engine.formats.fhir.models import check_models

    wrong = {"resourceType": "Observation", "status": "final", "code": {"coding": {}}}
    assert list(check_models(wrong, "R4")) == [
        Finding("Observation.code.coding", "a list is wanted")
    ]
    assert list(check_models({"resourceType": "Nobody"}, "R4")) == []


@pytest.mark.parametrize(
    ("format", "schema", "version", "told"),
    [
        ("raw", None, "R4", "nothing is known"),
        ("json", None, "R4", "name its file"),
        ("xml", None, "R4", "name its file"),
        ("fhir", None, "R3", "R4 and R5"),
        ("fhir", "order.json", "R4", "its own definitions"),
        ("hl7v2", "order.json", "R4", "not checked against a schema"),
        ("json", "nowhere.json", "R4", "cannot be read"),
        ("json", "order.xsd", "R4", "not a usable JSON Schema"),
        ("json", "far.json", "R4", "not a usable JSON Schema"),
        ("xml", "order.json", "R4", "not a usable XML Schema"),
    ],
)
def test_what_cannot_be_validated(
    schemas: Path, format: str, schema: str | None, version: str, told: str
) -> None:
    with pytest.raises(NoValidator, match=told):
        validator(format, version=version, schema=None if schema is None else schemas / schema)
