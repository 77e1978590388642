"""Which request a FHIR payload becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.fhir.interaction import Request, UnfitPayload, request_for

PATIENT = {
    "resourceType": "Patient",
    "id": "p-1",
    "identifier": [
        {"use": "old", "system": "urn:x"},
        {"system": "urn:oid:1.2.3", "value": "A|1,b$c\\d é"},
        {"system": "urn:other", "value": "9"},
    ],
}


def request(resource: dict[str, Any], interaction: str = "create", **more: Any) -> Request:
    return request_for(json.dumps(resource).encode(), interaction, **more)


@pytest.mark.parametrize("kind", ["transaction", "batch"])
@pytest.mark.parametrize("swapped", [False, True])
def test_transactions_and_batches_go_to_the_base(kind: str, swapped: bool) -> None:
    bundle = {"resourceType": "Bundle", "type": kind, "entry": []}
    if swapped:
        bundle = dict(reversed(bundle.items()))
    for interaction in ("create", "update", "conditional_update"):
        assert request(bundle, interaction) == Request("POST", "", bundle=kind)


def test_white_space_does_not_matter() -> None:
    body = b' {\n  "resourceType" : "Bundle" ,\n "type" :\t"batch" }'
    assert request_for(body, "create").bundle == "batch"


def test_a_type_inside_of_an_entry_is_not_the_bundles() -> None:
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Bundle", "type": "transaction"}}],
        "type": "message",
    }
    assert request(bundle) == Request("POST", "/$process-message", bundle="message")
    assert request(bundle, messages=False) == Request("POST", "/Bundle")


def test_a_collection_is_a_resource() -> None:
    bundle = {"resourceType": "Bundle", "type": "collection", "id": "b1"}
    assert request(bundle) == Request("POST", "/Bundle")
    assert request(bundle, "update") == Request("PUT", "/Bundle/b1")


def test_one_resource() -> None:
    token = "urn%3Aoid%3A1.2.3%7CA%5C%7C1%5C%2Cb%5C%24c%5C%5Cd%20%C3%A9"
    assert request(PATIENT) == Request("POST", "/Patient")
    assert request(PATIENT, "update") == Request("PUT", "/Patient/p-1")
    assert request(PATIENT, "conditional_update") == Request("PUT", f"/Patient?identifier={token}")
    assert request(PATIENT, "conditional_create") == Request(
        "POST", "/Patient", condition=f"identifier={token}"
    )
    chosen = request(PATIENT, "conditional_update", identifier_system="urn:other")
    assert chosen.target == "/Patient?identifier=urn%3Aother%7C9"


def test_an_identifier_without_system() -> None:
    resource = {"resourceType": "Patient", "identifier": [{"value": "7"}]}
    assert request(resource, "conditional_update").target == "/Patient?identifier=7"


@pytest.mark.parametrize(
    ("body", "interaction"),
    [
        (b"", "create"),
        (b"<Patient/>", "create"),
        (b"[]", "create"),
        (b"{}", "create"),
        (b'{"resourceType": "../admin"}', "create"),
        (b'{"resourceType": 5}', "create"),
        (b'{"resourceType":"Patient"}', "update"),
        (b'{"resourceType":"Patient","id":"../x"}', "update"),
        (b'{"resourceType":"Patient","id":7}', "update"),
        (b'{"resourceType":"Patient"', "update"),
        (b'{"resourceType":"Patient"}', "conditional_update"),
        (b'{"resourceType":"Patient","identifier":[{"value":""}]}', "conditional_update"),
        (b'{"resourceType":"Patient","identifier":["x",{"system":"s"}]}', "conditional_create"),
    ],
)
def test_unfit(body: bytes, interaction: str) -> None:
    with pytest.raises(UnfitPayload):
        request_for(body, interaction)


@given(st.binary(max_size=80), st.sampled_from(["create", "update", "conditional_update"]))
def test_no_bytes_break_it(tail: bytes, interaction: str) -> None:
    for body in (tail, b'{"resourceType":"Patient",' + tail):
        try:
            made = request_for(body, interaction)
        except UnfitPayload:
            continue
        assert made.target.isascii()
        assert " " not in made.target
        assert "\n" not in made.target
