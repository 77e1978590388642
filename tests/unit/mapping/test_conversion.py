"""Choosing a mapping by the document's own type, and converting with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.contract import FormatError, MappingError, Payload
from engine.formats.hl7v2 import parse
from engine.mapping import Converter, convert
from engine.mapping.catalogue import Catalogue, DocumentType, type_of
from engine.mapping.conversion import messages_of
from engine.mapping.headers import MappingHeader, read_header
from engine.syntax import Diagnostics

ADT = "MSH|^~\\&|HIS|A|B|C|20260131093000+0800||{}|7|P|2.5.1\rEVN|\rPID|||77^^^A||张^伟\r"


def header(name: str, from_: str, to: str = "{format: json}", more: str = "") -> MappingHeader:
    text = f"mapping: {name}\nfrom: {from_}\nto: {to}\n{more}out:\n  a: = PID-5\n"
    found = read_header(text, name, f"{name}.yaml")
    assert found is not None
    return found


def chosen(headers: list[MappingHeader], kind: DocumentType, to: str = "json") -> str:
    return Catalogue(headers).choose(kind, to, lambda one: one.when is not None)


def v2(*names: str) -> DocumentType:
    return DocumentType("hl7v2", names)


# --- headers --------------------------------------------------------------------------------


def test_only_the_header_is_read_and_its_places_stay() -> None:
    text = (
        "# a comment\nmapping: a\nimport: [x]\nout: {a: [unreadable\n\nfrom:\n"
        "  format: hl7v2\n  message: [ADT^A08, ORU_R01]\nto: {format: fhir}\n"
    )
    found = read_header(text, "a", "a.yaml")
    assert found is not None
    assert (found.source, found.target) == ("hl7v2", "fhir")
    assert found.messages == ("ADT_A08", "ORU_R01")
    assert found.place.position.line == 6


def test_a_library_has_no_header() -> None:
    assert read_header("maps:\n  A: {out: x}\nfrom: {format: hl7v2}\n", "lib/a", "a.yaml") is None


# --- HL7 v2 ---------------------------------------------------------------------------------

ALL = [
    header("any", "{format: hl7v2, message: any}"),
    header("adt", "{format: hl7v2, message: 'ADT_*'}"),
    header("a01", "{format: hl7v2, message: [ADT_A01, ADT_A05]}"),
    header("a08", "{format: hl7v2, message: ADT^A08}"),
    header("sites/a01", "{format: hl7v2, message: ADT^A13}"),
    header("fhir", "{format: hl7v2, message: ADT^A01}", "{format: fhir}"),
]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("ADT_A08", "ADT_A01"), "a08"),
        (("ADT_A04", "ADT_A01"), "a01"),
        (("ADT_A13", "ADT_A01"), "a01"),
        (("ADT_A99",), "adt"),
        (("ORU_R01",), "any"),
        ((), "any"),
    ],
)
def test_the_exact_comes_before_the_general(names: tuple[str, ...], name: str) -> None:
    assert chosen(ALL, v2(*names)) == name


def test_what_no_mapping_takes_is_refused_with_the_nearest() -> None:
    with pytest.raises(MappingError, match="R410") as raised:
        chosen([header("a01", "{format: hl7v2, message: ADT_A01}")], v2("ADT_A02"))
    assert "ADT_A01" in (raised.value.info.help or "")


def test_nothing_is_guessed_between_two() -> None:
    two = [header(name, "{format: hl7v2, message: ORU_R01}") for name in ("a", "b")]
    with pytest.raises(MappingError, match=r"R411.*'a' and 'b'"):
        chosen(two, v2("ORU_R01"))
    two[1] = header("b", "{format: hl7v2, message: ORU_R01, priority: 1}")
    assert chosen(two, v2("ORU_R01")) == "b"


def test_an_overlay_comes_before_what_it_extends() -> None:
    base = header("base", "{format: hl7v2, message: ORU_R01}")
    over = read_header("mapping: over\nextends: base\n", "over", "over.yaml")
    assert over is not None
    assert chosen([base, over], v2("ORU_R01")) == "over"
    told = Diagnostics()
    Catalogue([base, over]).ambiguities(told)
    assert not told.items


@pytest.mark.parametrize(
    ("type", "names"),
    [
        ("ADT^A04", ("ADT_A04", "ADT_A01")),
        ("ADT^A08^ADT_A08", ("ADT_A08", "ADT_A01")),
        ("ZZZ^Z01^ORU_R01", ("ZZZ_Z01", "ORU_R01")),
        ("ORU^R01", ("ORU_R01",)),
        ("", ()),
    ],
)
def test_a_message_has_its_events_structure(type: str, names: tuple[str, ...]) -> None:
    assert type_of(parse(ADT.format(type).encode())).names == names


# --- FHIR and XML ---------------------------------------------------------------------------


def test_fhir_is_chosen_by_event_then_condition_then_resource() -> None:
    fhir = [
        header("bundle", "{format: fhir, resource: Bundle}"),
        header("oru", "{format: fhir, resource: Bundle, event: [R01], when: = exists(X)}"),
        header("oml", "{format: fhir, resource: Bundle, event: [O21]}"),
        header("patient", "{format: fhir, resource: Patient}"),
    ]
    for event, name in (("R01", "oru"), ("ORU^R01", "oru"), ("O21", "oml"), ("A01", "oru")):
        assert chosen(fhir, DocumentType("fhir", ("Bundle",), event)) == name
    # The event decides, whatever the Bundle holds.
    result = DocumentType("fhir", ("Bundle",), "R01")
    assert Catalogue(fhir).choose(result, "json", lambda one: False) == "oru"
    catalogue, bundle = Catalogue(fhir), DocumentType("fhir", ("Bundle",))
    assert catalogue.choose(bundle, "json", lambda one: True) == "oru"
    assert catalogue.choose(bundle, "json", lambda one: False) == "bundle"
    assert chosen(fhir, DocumentType("fhir", ("Patient",))) == "patient"


def test_xml_is_chosen_by_its_root() -> None:
    headers = [
        header("document", "{format: cda}"),
        header("entry", "{format: cda, root: [act, observation]}"),
    ]
    assert chosen(headers, DocumentType("cda", ("ClinicalDocument",))) == "document"
    assert chosen(headers, DocumentType("cda", ("act",))) == "entry"
    with pytest.raises(MappingError, match="R410"):
        chosen(headers, DocumentType("cda", ("supply",)))


def test_a_cda_document_is_read_by_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "cda.yaml").write_text(
        "from: {format: cda}\nto: {format: json}\n"
        "out: {id: = /ClinicalDocument/id.@root, now: = $now}\n",
        "utf-8",
    )
    text = (
        '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3">'
        '<id root="1.2"/><effectiveTime value="20260102"/></ClinicalDocument>'
    )
    made = json.loads(convert(text, "json", mappings=tmp_path).body)
    assert made == {"id": "1.2", "now": "2026-01-02T00:00:00Z"}


# --- converting -----------------------------------------------------------------------------

MAPPING = """\
mapping: adt
from: {format: hl7v2, message: 'ADT_*'}
to: {format: json}
out:
  name: = PID-5
  now: = $now
  id: = $message.id
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "adt.yaml").write_text(MAPPING, "utf-8")
    broken = MAPPING.replace("PID-5", "nowhere(").replace("adt", "broken")
    (tmp_path / "broken.yaml").write_text(broken.replace("ADT_*", "ORU_*"), "utf-8")
    (tmp_path / "when.yaml").write_text(
        "from: {format: fhir, resource: Bundle, when: = exists(Patient)}\n"
        "to: {format: json}\nout: {name: = Patient.id}\n",
        "utf-8",
    )
    return tmp_path


def test_the_same_input_gives_the_same_output(folder: Path) -> None:
    body = ADT.format("ADT^A08")
    first = convert(body, "json", mappings=folder)
    assert json.loads(first.body)["name"] == "张"
    assert json.loads(first.body)["now"] == "2026-01-31T09:30:00+08:00"
    assert convert(body.encode(), "json", mappings=folder).body != b""
    assert convert(Payload(body.encode()), "json", mappings=folder) == convert(
        body.encode(), "json", mappings=folder
    )
    given = convert(body, "json", mappings=folder, now=datetime(2020, 1, 2, tzinfo=UTC))
    assert json.loads(given.body)["now"] == "2020-01-02T00:00:00Z"


def test_a_text_is_read_as_it_is_whatever_it_declares(folder: Path) -> None:
    body = ADT.format("ADT^A08").replace("|2.5.1\r", "|2.5.1||||||GB 18030-2000\r")
    assert json.loads(convert(body, "json", mappings=folder).body)["name"] == "张"


def test_conditions_look_into_the_document(folder: Path) -> None:
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}],
    }
    assert convert(json.dumps(bundle), "json", mappings=folder).body == b'{"name":"p"}'
    with pytest.raises(MappingError, match="R410"):
        convert('{"resourceType": "Bundle"}', "json", mappings=folder)


def test_what_is_wrong_says_where(folder: Path) -> None:
    converter = Converter(folder, shown="mappings")
    with pytest.raises(MappingError, match="R412") as raised:
        converter.convert(ADT.format("ADT^A01"), "json", mapping="broken")
    assert (raised.value.info.location or "").startswith("mappings/broken.yaml:")
    with pytest.raises(MappingError, match="there is no mapping 'x'"):
        converter.mapping("x")
    with pytest.raises(FormatError, match="FORMAT-UNKNOWN"):
        converter.convert(b"hello", "json")


def test_an_overlay_that_changes_an_imported_map(tmp_path: Path) -> None:
    head = "from: {format: hl7v2}\nto: {format: json}\n"
    library = "maps: {Name: {args: [xpn], out: {family: '= $xpn.1'}}}\n"
    (tmp_path / "names.yaml").write_text(head + library, "utf-8")
    base = "import: [names]\nout: {name: \"= PID-5 | each('Name')\"}\n"
    (tmp_path / "base.yaml").write_text("mapping: base\n" + head + base, "utf-8")
    change = "replace: {maps.Name.out: {given: '= $xpn.2'}}\n"
    (tmp_path / "over.yaml").write_text("mapping: over\nextends: base\n" + change, "utf-8")
    body = Converter(tmp_path).convert(ADT.format("ADT^A01"), "json", mapping="over").body
    assert list(json.loads(body)["name"]) == ["given"]


def test_the_messages_of_a_batch() -> None:
    one = ADT.format("ADT^A01").encode()
    assert messages_of(one) == (one,)
    assert messages_of(b'{"a": 1}') == (b'{"a": 1}',)
    assert len(messages_of(b"FHS|^~\\&\rBHS|^~\\&\r" + one + one + b"BTS|2\rFTS|1\r")) == 2
    wide = ADT.format("ADT^A01").encode("utf-16")
    assert messages_of(wide) == (wide,)
    assert len(messages_of((ADT * 2).format("ADT^A01", "ADT^A02").encode("utf-16"))) == 2


# --- lint -----------------------------------------------------------------------------------


def test_lint_warns_of_two_that_take_the_same() -> None:
    told = Diagnostics()
    Catalogue(
        [
            header("a", "{format: hl7v2, message: [ORU_R01, ORU^R30]}"),
            header("b", "{format: hl7v2, message: ORU_R30}"),
            header("c", "{format: hl7v2, message: ORU_R01, priority: 2}"),
            header("d", "{format: hl7v2}"),
            header("e", "{format: hl7v2}"),
        ]
    ).ambiguities(told)
    assert [(one.code, one.position.file) for one in told.items] == [("C304", "b.yaml")]
