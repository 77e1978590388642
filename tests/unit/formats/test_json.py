"""JSON and FHIR: digits are kept, ambiguity is refused; and bytes nobody reads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.contract import FormatError, Payload
from engine.formats import CODES, FORMATS, NULL, FhirDocument, JsonDocument, RawDocument

JSON = FORMATS["json"]
FHIR = FORMATS["fhir"]
RAW = FORMATS["raw"]


def value(body: bytes, charset: str | None = None) -> Any:
    document = JSON.parse(Payload(body), charset=charset)
    assert isinstance(document, JsonDocument)
    return document.value


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1.50,"b":[0.10,-0.0,100,1E-7,1.0E+2]}',
        "123456789012345678901234567890",
        "0.1234567890123456789012345678901234567890",
        '["2.16.840","1e5",true,false,null,{}]',
        '"\\u0000\\n珅"',
        "9007199254740993",
        "18446744073709551616",
    ],
)
def test_digits_come_out_as_they_went_in(text: str) -> None:
    assert JSON.write(JSON.parse(Payload(text.encode()))).body.decode() == text


def test_numbers_have_their_types() -> None:
    assert value(b"[1, 1.0, 1e2, true]") == [1, Decimal("1.0"), Decimal("1e2"), True]
    assert [type(one) for one in value(b"[1, 1.0, 1e2, true]")] == [int, Decimal, Decimal, bool]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_unicode_is_recognised(codec: str) -> None:
    assert value('{"a": "珅"}'.encode(codec)) == {"a": "珅"}
    assert value('{"a": "珅"}'.encode(codec), "utf-8") == {"a": "珅"}


def test_other_character_sets_are_named() -> None:
    assert value('{"a": "珅"}'.encode("gbk"), "gbk") == {"a": "珅"}
    payload = JSON.write({"a": "珅"}, charset="gbk")
    assert (payload.body, payload.charset) == ('{"a":"珅"}'.encode("gbk"), "gbk")
    assert JSON.write({"a": "珅"}, charset="UTF-8").body == '{"a":"珅"}'.encode()


@pytest.mark.parametrize(
    ("body", "charset", "code"),
    [
        (b"", None, "JSON-SYNTAX"),
        (b"{", None, "JSON-SYNTAX"),
        (b"{'a': 1}", None, "JSON-SYNTAX"),
        (b"[1,]", None, "JSON-SYNTAX"),
        (b"[01]", None, "JSON-SYNTAX"),
        (b"NaN", None, "JSON-SYNTAX"),
        (b"[Infinity]", None, "JSON-SYNTAX"),
        (b"1e99999999999999999999", None, "JSON-SYNTAX"),
        (b"9" * 5000, None, "JSON-SYNTAX"),
        (b"1." + b"9" * 5000, None, "JSON-SYNTAX"),
        (b'"\\ud800"', None, "JSON-SYNTAX"),
        (b'"\t"', None, "JSON-SYNTAX"),
        (b'{"a": 1, "a": 2}', None, "JSON-DUPLICATE"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', None, "JSON-DUPLICATE"),
        (b"[" * 100_000, None, "JSON-DEPTH"),
        (b'{"a":' * 100_000, None, "JSON-DEPTH"),
        (b"[" * 300 + b"]" * 300, None, "JSON-DEPTH"),
        (b'"\xff"', None, "CHARSET-DECODE"),
        (b'"\x81"', "gbk", "CHARSET-DECODE"),
        (b"1", "klingon", "CHARSET-UNKNOWN"),
    ],
)
def test_what_cannot_be_read_says_why(body: bytes, charset: str | None, code: str) -> None:
    with pytest.raises(FormatError) as error:
        value(body, charset)
    assert error.value.info.code == code
    assert error.value.info.help
    assert len(str(error.value)) < 120


@pytest.mark.parametrize("depth", [1, 100, 250])
def test_what_is_deep_but_not_a_bomb_is_read_and_written(depth: int) -> None:
    body = b"[" * depth + b"]" * depth
    assert JSON.write(JSON.parse(Payload(body))).body == body


@pytest.mark.parametrize(
    "tree", [{1: "a"}, {"a": object()}, {"a": Decimal("NaN")}, {"a": "\ud800"}, {"a": b"x"}]
)
def test_what_json_cannot_say_is_an_error_without_the_value(tree: Any) -> None:
    with pytest.raises(FormatError) as error:
        JSON.write(tree)
    assert error.value.info.code == "JSON-TREE"


def test_explicit_null_is_null() -> None:
    assert JSON.write({"a": NULL}).body == b'{"a":null}'


def test_json_has_no_key_of_its_own() -> None:
    document = JsonDocument({"id": "1"})
    assert (JSON.key(document), JSON.control_id(document), document.format) == ("", "", "json")
    assert "id" not in repr(document)


@pytest.mark.parametrize(
    ("resource", "key", "control_id"),
    [
        ({"resourceType": "Patient", "id": "p1"}, "Patient", "p1"),
        ({"resourceType": "Patient"}, "Patient", ""),
        ({"resourceType": "Bundle"}, "Bundle", ""),
        ({"resourceType": "Bundle", "type": "transaction", "id": "b"}, "Bundle/transaction", "b"),
        (
            {"resourceType": "Bundle", "type": "batch", "id": "b", "identifier": {"value": "v"}},
            "Bundle/batch",
            "v",
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "message",
                "entry": [{"resource": {"eventCoding": {"code": "admit"}}}],
            },
            "admit",
            "",
        ),
        (
            {
                "resourceType": "Bundle",
                "type": "message",
                "entry": [{"resource": {"eventUri": "urn:admit"}}],
            },
            "urn:admit",
            "",
        ),
        ({"resourceType": "Bundle", "type": "message", "entry": []}, "Bundle/message", ""),
        ({"resourceType": "Bundle", "type": "message", "entry": [1]}, "Bundle/message", ""),
        ({"resourceType": "Bundle", "type": 7, "identifier": []}, "Bundle", ""),
    ],
)
def test_a_resource_says_what_it_is(resource: dict[str, Any], key: str, control_id: str) -> None:
    payload = FHIR.write(resource)
    assert payload.content_type == "application/fhir+json"
    document = FHIR.parse(payload)
    assert document.format == "fhir"
    assert FHIR.write(document) == payload
    assert (FHIR.key(document), FHIR.control_id(document)) == (key, control_id)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"resourceType": 1}', b"null"])
def test_what_is_no_resource_is_an_error(body: bytes) -> None:
    with pytest.raises(FormatError) as error:
        FHIR.parse(Payload(body))
    assert error.value.info.code == "FHIR-RESOURCE"


def test_raw_bytes_pass_untouched() -> None:
    payload = Payload(b"\x00\xff", "text/plain", "x")
    document = RAW.parse(payload)
    assert isinstance(document, RawDocument)
    assert RAW.write(document) is payload
    assert RAW.write(b"\x00").body == b"\x00"
    assert (RAW.key(document), RAW.control_id(document), document.format) == ("", "", "raw")
    assert "xff" not in repr(document)
    with pytest.raises(FormatError):
        RAW.write({})


def test_formats_do_not_mix() -> None:
    for format in FORMATS.values():
        for document in (RawDocument(Payload(b"")), JsonDocument({}), FhirDocument({})):
            assert isinstance(format.key(document), str)
            assert isinstance(format.control_id(document), str)


def test_every_error_says_what_to_do() -> None:
    assert all(code == row.code and row.meaning and row.help for code, row in CODES.items())
