"""What a FHIR output gets at its end: resources that are referred to, requests, ids."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract import MappingError
from engine.mapping import explain
from tests.unit.mapping.reading import CONTEXT, fhir, hl7, json, mapped, mapping

MESSAGE = hl7(
    "PID|1||77||Jones^W",
    "OBX|1|NM|A||1|||||||||||1^Doc^^A~2^Tec^^A",
    "OBX|2|NM|B||1|||||||||||1^Doc^^A~3",
    "OBX|3|NM|C||1",
)
OBSERVATIONS = """
out:
  resourceType: Bundle
  type: %s
  entry:
    - $for: o in OBX[*]
      fullUrl: = urn_uuid('Observation', $o.1)
      resource: {resourceType: Observation, performer: "= $o.16[*] | refer('Doctor')"}
"""
DOCTOR = """
maps:
  Doctor:
    args: [xcn]
    let: {number: = $xcn.1}
    key: [= $number]
    out:
      $if: $number
      resourceType: Practitioner
      identifier: [{system: 'urn:a b', value: = $number}]
      name: [{family: = $xcn.2}]
"""


def resources(bundle: Any, kind: str) -> list[dict[str, Any]]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [one for one in found if one["resourceType"] == kind]


def test_each_resource_is_one_entry_however_often_it_is_referred_to() -> None:
    bundle = mapped(OBSERVATIONS % "collection" + DOCTOR, MESSAGE)
    doctors = bundle["entry"][3:]
    assert [one["resource"]["identifier"][0]["value"] for one in doctors] == ["1", "2", "3"]
    urls = [one["fullUrl"] for one in doctors]
    assert [sorted(one) for one in doctors] == [["fullUrl", "resource"]] * 3
    named = [
        [reference["reference"] for reference in one.get("performer", ())]
        for one in resources(bundle, "Observation")
    ]
    assert named == [urls[:2], [urls[0], urls[2]], []]


def test_what_is_referred_to_is_created_once_at_the_receiver() -> None:
    bundle = mapped(OBSERVATIONS % "transaction" + DOCTOR, MESSAGE)
    assert bundle["entry"][3]["request"] == {
        "method": "POST",
        "ifNoneExist": "identifier=urn%3Aa%20b%7C1",
        "url": "Practitioner",
    }
    assert bundle == mapped(OBSERVATIONS % "transaction" + DOCTOR, MESSAGE)


def test_what_is_referred_to_with_an_id_of_its_own_is_updated() -> None:
    with_id = DOCTOR.replace("resourceType:", "id: = $number\n      resourceType:")
    entry = mapped(OBSERVATIONS % "transaction" + with_id, MESSAGE)["entry"][3]
    assert entry["request"] == {"method": "PUT", "url": "Practitioner/1"}


def test_an_entry_without_a_request_is_an_update_by_its_url() -> None:
    entry = mapped(OBSERVATIONS % "batch" + DOCTOR, MESSAGE)["entry"][2]
    id = entry["fullUrl"].removeprefix("urn:uuid:")
    assert entry["resource"] == {"resourceType": "Observation", "id": id}
    assert list(entry["resource"]) == ["resourceType", "id"]
    assert entry["request"] == {"method": "PUT", "url": f"Observation/{id}"}


TRANSACTION = "out: {resourceType: Bundle, type: transaction, entry: [%s]}"


@pytest.mark.parametrize(
    ("entry", "wanted", "id"),
    [
        ("{resource: {resourceType: Patient, id: a}}", {"method": "PUT", "url": "Patient/a"}, "a"),
        (
            "{fullUrl: 'https://a/fhir/Patient/b', resource: {resourceType: Patient}}",
            {"method": "PUT", "url": "Patient/b"},
            "b",
        ),
        (
            "{request: {method: POST}, resource: {resourceType: Patient, id: c}}",
            {"method": "PUT", "url": "Patient/c"},
            "c",
        ),
        (
            "{request: {method: POST}, resource: {resourceType: Patient,"
            " identifier: [{value: x}, {system: s, value: '1'}]}}",
            {"method": "POST", "ifNoneExist": "identifier=s%7C1", "url": "Patient"},
            None,
        ),
        (
            "{request: {method: POST, ifNoneExist: 'a=b'}, resource: {resourceType: Patient}}",
            {"method": "POST", "ifNoneExist": "a=b", "url": "Patient"},
            None,
        ),
        (
            "{request: {method: POST, url: Patient}, resource: {resourceType: Patient}}",
            {"method": "POST", "url": "Patient"},
            None,
        ),
        (
            "{request: {method: PUT, ifMatch: 'W/1'}, resource: {resourceType: Patient, id: d}}",
            {"method": "PUT", "url": "Patient/d", "ifMatch": "W/1"},
            "d",
        ),
    ],
)
def test_a_request_says_what_the_entry_leaves_out(
    entry: str, wanted: dict[str, str], id: str | None
) -> None:
    (found,) = mapped(TRANSACTION % entry, MESSAGE)["entry"]
    assert found["request"] == wanted
    assert found["resource"].get("id") == id


def test_a_resource_without_url_and_id_is_known_by_its_content() -> None:
    out = TRANSACTION % "{resource: {resourceType: Patient, gender: = PID-3}}"
    (one,) = mapped(out, MESSAGE)["entry"]
    (other,) = mapped(out, hl7("PID|1||78"))["entry"]
    assert list(one) == ["fullUrl", "resource", "request"]
    assert one["fullUrl"] == f"urn:uuid:{one['resource']['id']}"
    assert one["fullUrl"] != other["fullUrl"]


def test_a_deletion_and_a_bundle_of_another_type_stay_as_they_are() -> None:
    deletion = "{request: {method: DELETE, url: Patient/1}}"
    assert mapped(TRANSACTION % deletion, MESSAGE)["entry"] == [
        {"request": {"method": "DELETE", "url": "Patient/1"}}
    ]
    collected = "out: {resourceType: Bundle, type: collection, entry: [{resource: {id: = PID-3}}]}"
    assert mapped(collected, MESSAGE)["entry"] == [{"resource": {"id": "77"}}]


def test_the_same_identity_again_fills_in_what_the_first_lacked() -> None:
    document = hl7("PID|1||1^Doc", "PV1|1||||||1^Doc^1970")
    text = DOCTOR.replace("name: [{", "birthDate: = $xcn.3\n      name: [{")
    out = (
        "out: {resourceType: Bundle, type: collection, a: \"= PID-3 | refer('Doctor')\","
        " b: \"= PV1-7 | refer('Doctor')\"}"
    )
    bundle = mapped(out + text, document)
    assert bundle["a"] == bundle["b"]
    assert len(bundle["entry"]) == 1
    later = hl7("PID|1||1", "PV1|1||||||1^Other^1970")
    (entry,) = mapped(out + text, later)["entry"]
    assert entry["resource"]["name"] == [{"family": "Other"}]
    assert entry["resource"]["birthDate"] == "1970"


def test_two_that_contradict_each_other_under_one_identity_stay_two() -> None:
    document = hl7("PID|1||1^Doc~1^Doc", "PV1|1||||||1^Other")
    out = (
        "out: {resourceType: Bundle, type: collection, a: \"= PID-3[*] | refer('Doctor')\","
        " b: \"= PV1-7 | refer('Doctor')\"}"
    )
    bundle = mapped(out + DOCTOR, document)
    first, other = bundle["entry"]
    assert bundle["a"] == [{"reference": first["fullUrl"]}] * 2
    assert bundle["b"] == {"reference": other["fullUrl"]}
    assert [one["resource"]["name"][0]["family"] for one in (first, other)] == ["Doc", "Other"]


def test_two_that_contradict_each_other_have_two_ids() -> None:
    document = hl7("PID|1||1^Doc", "PV1|1||||||1^Other")
    out = (
        "out: {resourceType: Bundle, type: transaction, entry: [{resource: {resourceType: Basic,"
        " a: \"= PID-3 | refer('Doctor')\", b: \"= PV1-7 | refer('Doctor')\"}}]}"
    )
    with_id = DOCTOR.replace("resourceType:", "id: = $number\n      resourceType:")
    _, first, other = mapped(out + with_id, document)["entry"]
    assert first["resource"]["id"] == "1"
    assert other["fullUrl"] == f"urn:uuid:{other['resource']['id']}"
    assert other["request"]["url"] == f"Practitioner/{other['resource']['id']}"


def test_an_entry_of_the_mapping_itself_is_filled_in_not_doubled() -> None:
    text = """
out:
  resourceType: Bundle
  type: transaction
  entry:
    - fullUrl: = urn_uuid('Practitioner', PID-3.1)
      resource: {resourceType: Practitioner, gender: male, by: "= PID-3 | refer('Doctor')"}
"""
    (entry,) = mapped(text + DOCTOR, hl7("PID|1||1^Doc"))["entry"]
    assert entry["resource"]["name"] == [{"family": "Doc"}]
    assert entry["request"]["method"] == "PUT"


def test_without_a_key_equal_content_is_one_entry() -> None:
    text = "out: {resourceType: Bundle, type: x, a: \"= PID-3[*] | refer('P')\"}\n" + (
        "maps: {P: {args: [x], key: = $x.9, out: {resourceType: Basic, id: = $x.1}}}"
    )
    bundle = mapped(text, hl7("PID|1||1^a~1^b~2"))
    assert [one["resource"]["id"] for one in bundle["entry"]] == ["1", "2"]
    assert bundle["a"][0] == bundle["a"][1] != bundle["a"][2]


def test_a_single_resource_contains_what_it_refers_to() -> None:
    text = """
out:
  resourceType: Observation
  performer: = OBX-16[*] | refer('Doctor')
  encounter: {$refer: Doctor, $with: {xcn: = OBX-16}, display: x}
"""
    found = mapped(text + DOCTOR, MESSAGE)
    first, second = (one["id"] for one in found["contained"])
    assert found["performer"] == [{"reference": f"#{first}"}, {"reference": f"#{second}"}]
    assert found["encounter"] == {"display": "x", "reference": f"#{first}"}
    assert list(found["contained"][0]) == ["resourceType", "id", "identifier", "name"]


def test_maps_that_refer_may_refer_themselves() -> None:
    text = """
out: {resourceType: Bundle, type: collection, a: "= PID-3[*] | refer('Role')"}
maps:
  Role:
    args: [xcn]
    out: {resourceType: PractitionerRole, practitioner: "= $xcn | refer('Doctor')"}
"""
    bundle = mapped(text + DOCTOR.replace("\nmaps:", ""), hl7("PID|1||1^Doc~1^Doc"))
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert kinds == ["Practitioner", "PractitionerRole"]


def test_values_of_a_json_source_are_referred_to_as_well() -> None:
    text = """
out: {resourceType: Bundle, type: collection, a: "= $src.p[*] | refer('P')"}
maps: {P: {args: [p], key: = $p.n, out: {resourceType: Patient, gender: = $p.g}}}
"""
    bundle = mapped(text, json({"p": [{"n": 1, "g": "x"}, {"n": 2, "g": "x"}, {"n": 1}]}))
    assert len(bundle["entry"]) == 2
    assert bundle["a"][0] == bundle["a"][2]


def test_nothing_to_refer_to_leaves_nothing() -> None:
    text = "out: {resourceType: Basic, a: \"= PID-9 | refer('Doctor')\"}" + DOCTOR
    assert mapped(text, MESSAGE) == {"resourceType": "Basic"}


@pytest.mark.parametrize("body", ["= $x.1", "{id: = $x.1}"])
def test_only_a_resource_can_be_referred_to(body: str) -> None:
    text = f"out: {{a: \"= PID-3 | refer('P')\"}}\nmaps: {{P: {{args: [x], out: {body}}}}}"
    with pytest.raises(MappingError) as caught:
        mapped(text, MESSAGE)
    assert caught.value.info.code == "R307"
    assert "77" not in str(caught.value)


def test_explaining_gives_the_same_output_and_names_every_leaf() -> None:
    found = mapping(OBSERVATIONS % "transaction" + DOCTOR)
    leaves = {one.target: one for one in explain(found, MESSAGE, CONTEXT)}
    bundle = found.apply(MESSAGE, CONTEXT)
    reference = leaves["entry[1].resource.performer[2].reference"]
    assert reference.value == bundle["entry"][0]["resource"]["performer"][1]["reference"]
    assert [source.value for source in reference.sources] == ["2^Tec^^A"]
    assert leaves["entry[4].resource.name[1].family"].rule == "Doctor.name[1].family"
    assert leaves["entry[4].request.url"].value == "Practitioner"
    assert leaves["entry[1].request.method"].rule == "(completed)"


def test_a_directive_that_refers_is_a_rule() -> None:
    text = """
out:
  resourceType: Observation
  performer: [{$refer: Doctor, $with: {xcn: = OBX-16}}]
"""
    found = mapping(text + DOCTOR)
    assert "performer[1].reference" in {rule.path for rule in found.rules}
    leaves = {one.target: one.rule for one in explain(found, MESSAGE, CONTEXT)}
    assert leaves["performer[1].reference"] == "performer[1].reference"
    assert leaves["contained[1].id"] == "(completed)"


def test_completion_reads_resources_of_a_fhir_source() -> None:
    source = fhir({"resourceType": "Patient", "id": "7"})
    text = "out: {resourceType: Bundle, type: transaction, entry: [{resource: = Patient}]}"
    (entry,) = mapped(text, source)["entry"]
    assert entry["request"]["url"] == "Patient/7"
    assert source.value["entry"][0] == {  # type: ignore[attr-defined]
        "fullUrl": "urn:uuid:1",
        "resource": {"resourceType": "Patient", "id": "7"},
    }


def test_the_same_resource_again_names_all_that_it_was_read_from() -> None:
    found = mapping(OBSERVATIONS % "transaction" + DOCTOR)
    leaves = {one.target: one for one in explain(found, MESSAGE, CONTEXT)}
    sources = leaves["entry[4].resource.name[1].family"].sources
    assert [source.value for source in sources] == ["Doc", "Doc"]
    assert {source.path.partition(".")[0] for source in sources} == {"OBX[1]", "OBX[2]"}
