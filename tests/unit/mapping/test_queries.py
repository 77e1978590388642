"""xpath(), fhirpath() and jsonpath(): what they find, and what an input can make of them."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from engine.contract import MappingError, Payload
from engine.formats import FORMATS, NULL, FhirDocument
from engine.mapping import explain
from tests.unit.mapping.reading import CONTEXT, json, mapped, mapping, value

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "1",
    "code": {"coding": [{"code": "a"}, {"code": "b", "display": "B"}]},
    "valueQuantity": {"value": Decimal("6.20"), "unit": "g"},
    "effectiveDateTime": "2020-01-02",
    "_status": {"extension": [{"url": "u"}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fhirpath('Observation.value.value')", Decimal("6.20")),
        ("fhirpath('value.unit')", "g"),
        ("fhirpath('code.coding.code')", ["a", "b"]),
        ("fhirpath(\"code.coding.where(code = 'b').display\")", "B"),
        ("fhirpath('Observation.value.value > 6.1')", True),
        ("fhirpath('value.value + 1.10')", Decimal("7.30")),
        ("fhirpath('nothing')", None),
        ("fhirpath('code.coding.count()')", 2),
        ("fhirpath('effective + 1 year')", "2021-01-02"),
        ("fhirpath(\"code.coding.where(code.matches('a|c')).code\")", "a"),
        ("fhirpath('%resource.id')", "1"),
        ("fhirpath('code.coding') | jsonpath('$[?@.code == \"b\"].display')", "B"),
        ("Observation.code | fhirpath('coding.first().code')", "a"),
        ("Observation.nothing | fhirpath('coding')", None),
        ("jsonpath('$.code.coding[*].code')", ["a", "b"]),
        ("jsonpath('$..display')", "B"),
    ],
)
def test_fhir(text: str, expected: Any) -> None:
    before = copy.deepcopy(OBSERVATION)
    found = value(text, FhirDocument(OBSERVATION))
    assert found == expected
    assert str(found) == str(expected)
    assert before == OBSERVATION


ORDERS = json(
    {
        "orders": [
            {"n": 1, "price": Decimal("1.10"), "urgent": None},
            {"n": 2, "price": Decimal("2.50"), "tags": ["x", "y"]},
        ]
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jsonpath('$.orders[?@.price == 1.1].n')", 1),
        ("jsonpath('$.orders[?@.price > 1.10].n')", 2),
        ("jsonpath('$.orders[?@.n >= 1].price')", [Decimal("1.10"), Decimal("2.50")]),
        ("jsonpath('$.orders[0].urgent')", NULL),
        ("jsonpath('$.orders[-1].tags') | join('+')", "x+y"),
        ("jsonpath('$.nothing')", None),
        ("$src.orders[2] | jsonpath('$.tags[1]')", "y"),
    ],
)
def test_json(text: str, expected: Any) -> None:
    found = value(text, ORDERS)
    assert found == expected
    assert str(found) == str(expected)


CDA = FORMATS["cda"].parse(
    Payload(
        b"""<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1"/><component><section>
    <code code="a"/><title>One</title></section></component><component><section><code code="b"/>
    <title>Two</title></section></component></ClinicalDocument>"""
    )
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("xpath('//cda:section/cda:title')", ["One", "Two"]),
        ("xpath('//cda:section[cda:code/@code=\"b\"]/cda:title')", "Two"),
        ("xpath('string(/cda:ClinicalDocument/cda:id/@root)')", "1"),
        ("xpath('count(//cda:section)')", 2),
        ("xpath('count(//cda:section) div 4')", Decimal("0.5")),
        ("xpath('number(//cda:title)')", None),
        ("xpath('boolean(//cda:none)')", False),
        ("xpath('//cda:none')", None),
        ("xpath('//cda:code/@code')", ["a", "b"]),
        ("/ClinicalDocument/component[2] | xpath('cda:section/cda:title')", "Two"),
        ("(/ClinicalDocument/component[2] | xpath('cda:section'))/title", "Two"),
        ("/cda:ClinicalDocument/cda:id/@root", "1"),
    ],
)
def test_xpath(text: str, expected: Any) -> None:
    assert value(text, CDA) == expected


def test_what_queries_find_is_walked_and_explained() -> None:
    out = """
out:
  - $for: s in xpath('//cda:section')
    code: = $s/code/@code
    title: = $s | xpath('cda:title')
"""
    assert mapped(out, CDA, "json") == [
        {"code": "a", "title": "One"},
        {"code": "b", "title": "Two"},
    ]
    leaves = explain(mapping(out, "cda", "json"), CDA, CONTEXT)
    assert [leaf.sources[0].path for leaf in leaves[2:]] == [
        "/ClinicalDocument/component[2]/section/code/@code",
        "/ClinicalDocument/component[2]/section/title",
    ]
    leaves = explain(mapping("out: {n: \"= jsonpath('$..n')\"}", "json", "json"), ORDERS, CONTEXT)
    assert [source.path for leaf in leaves for source in leaf.sources] == [
        "jsonpath('$..n')",
        "jsonpath('$..n')",
    ]


def test_an_input_that_a_query_cannot_take_is_no_leak() -> None:
    wrong = FhirDocument({"resourceType": "Patient", "id": "secret"})
    with pytest.raises(MappingError, match="R301") as caught:
        value("fhirpath('id + 1')", wrong)
    assert "secret" not in str(caught.value)
    with pytest.raises(MappingError, match="R301"):
        value("Patient.id | jsonpath('$.a')", wrong)
    assert value("try(fhirpath('id + 1')) ?? 'x'", wrong) == "x"
