"""XSDs of a mapping: what they refuse before and after it, and which files they may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract import Document, MappingError, Payload
from engine.formats import FORMATS
from engine.mapping import CompiledMapping, FolderLibrary, compile_mapping
from engine.syntax import Diagnostics, read_yaml
from tests.unit.mapping.reading import CONTEXT, json

XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
ORDER = f"""<xs:schema {XS} xmlns="urn:o" targetNamespace="urn:o" elementFormDefault="qualified">
  <xs:include schemaLocation="parts/types.xsd"/>
  <xs:element name="order"><xs:complexType><xs:sequence>
    <xs:element name="number" type="Number"/>
    <xs:element name="note" type="xs:string" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""
TYPES = f"""<xs:schema {XS} xmlns="urn:o" targetNamespace="urn:o">
  <xs:simpleType name="Number"><xs:restriction base="xs:positiveInteger"/></xs:simpleType>
</xs:schema>"""
FROM = """
from: {format: xml, namespaces: {'': 'urn:o'}, schema: schemas/order.xsd}
to: {format: json}
out: {number: = /order/number}
"""
TO = """
from: {format: json}
to: {format: xml, namespaces: {'': 'urn:o'}, schema: schemas/order.xsd}
out: {order: {number: = $src.number, note: = $src.note}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("order.xsd", ORDER), ("parts/types.xsd", TYPES)):
        path = tmp_path / "schemas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def compiled(folder: Path, text: str) -> tuple[CompiledMapping | None, Diagnostics]:
    diagnostics = Diagnostics()
    root = read_yaml(f"mapping: one{text}", "one.yaml", diagnostics)
    assert root is not None
    return compile_mapping(
        root, diagnostics=diagnostics, library=FolderLibrary(folder)
    ), diagnostics


def usable(folder: Path, text: str) -> CompiledMapping:
    mapping, diagnostics = compiled(folder, text)
    assert mapping is not None, [str(one) for one in diagnostics.items]
    return mapping


def refused(folder: Path, text: str) -> list[tuple[str, str]]:
    mapping, diagnostics = compiled(folder, text)
    assert mapping is None
    return [(one.code, one.message) for one in diagnostics.items]


def xml(text: str, format: str = "xml") -> Document:
    return FORMATS[format].parse(Payload(text.encode()))


def test_source(folder: Path) -> None:
    mapping = usable(folder, FROM)
    assert mapping.apply(xml('<order xmlns="urn:o"><number>7</number></order>'), CONTEXT) == {
        "number": "7"
    }
    with pytest.raises(MappingError) as caught:
        mapping.apply(xml('<order xmlns="urn:o"><number>secret</number></order>'), CONTEXT)
    info = caught.value.info
    assert (info.code, info.location) == ("R405", "one.yaml:2:56")
    assert info.summary == (
        "the document at /order/number: the value does not have the type of the schema"
    )


def test_target(folder: Path) -> None:
    mapping = usable(folder, TO)
    assert b"<number>7</number>" in mapping.render(json({"number": 7}), CONTEXT).body
    with pytest.raises(MappingError) as caught:
        mapping.render(json({"note": "secret"}), CONTEXT)
    assert caught.value.info.code == "R406"
    assert caught.value.info.summary == (
        "the output at /order/note: an element is missing, or one stands where none may"
    )


@pytest.mark.parametrize("number", ["7", "0"])
def test_soap_is_checked_inside_its_body(folder: Path, number: str) -> None:
    mapping = usable(folder, FROM.replace("format: xml", "format: soap"))
    document = xml(
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body>'
        f'<order xmlns="urn:o"><number>{number}</number></order></s:Body></s:Envelope>',
        "soap",
    )
    if number == "7":
        assert mapping.apply(document, CONTEXT) == {"number": "7"}
    else:
        with pytest.raises(MappingError, match="order/number"):
            mapping.apply(document, CONTEXT)


def test_empty_envelope(folder: Path) -> None:
    mapping = usable(folder, FROM.replace("format: xml", "format: soap"))
    envelope = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>'
    )
    with pytest.raises(MappingError, match="empty envelope"):
        mapping.apply(xml(envelope, "soap"), CONTEXT)


def test_a_changed_schema_is_another_version(folder: Path) -> None:
    before = usable(folder, TO).version
    (folder / "schemas/parts/types.xsd").write_text(TYPES.replace("positive", "nonNegative"))
    assert usable(folder, TO).version != before


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("parts/none.xsd", "'schemas/parts/none.xsd'"),
        ("../outside.xsd", "'outside.xsd'"),
        ("/etc/passwd", "'/etc/passwd'"),
        ("file:///etc/passwd", "'file:///etc/passwd'"),
        ("http://localhost:9/types.xsd", "'http://localhost:9/types.xsd'"),
    ],
)
def test_what_a_schema_may_include(folder: Path, location: str, problem: str) -> None:
    (folder / "outside.xsd").write_text(TYPES)
    (folder / "schemas/order.xsd").write_text(ORDER.replace("parts/types.xsd", location))
    expected = f"not a usable XML Schema ({problem} cannot be read)"
    assert refused(folder, TO) == [("M155", expected)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<nothing", "not a usable XML Schema (XMLSyntaxError)"),
        ("<a/>", "not a usable XML Schema (XMLSchemaParseError)"),
        (f"<!DOCTYPE a>{ORDER}", "not a usable XML Schema ('schemas/order.xsd' cannot be read)"),
    ],
)
def test_broken(folder: Path, text: str, problem: str) -> None:
    (folder / "schemas/order.xsd").write_text(text)
    assert refused(folder, FROM) == [("M155", problem)]


def test_only_xml_has_a_schema(folder: Path) -> None:
    text = TO.replace("format: json}", "format: json, schema: [a]}")
    assert refused(folder, text) == [("M155", "only xml, soap and cda have a schema")]
    assert refused(folder, TO.replace("schemas/order.xsd", "[a, b]")) == [
        ("M155", "'schema' is the path of one file")
    ]


def test_places_are_found_where_the_output_has_prefixes(folder: Path) -> None:
    text = TO.replace("{'': 'urn:o'}", "{o: 'urn:o'}").replace("order:", "o:order:")
    text = text.replace("number: =", "o:number: =").replace("note: =", "o:note: =")
    made, _ = compiled(folder, text)
    assert made is not None
    with pytest.raises(MappingError, match="R406") as refused:
        made.render(json({"number": "none"}), CONTEXT)
    assert "number" in refused.value.info.summary


ORDERS = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"><types>
  <xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o">
    <xs:element name="order"><xs:complexType><xs:sequence>
      <xs:element name="number" type="xs:positiveInteger"/>
    </xs:sequence></xs:complexType></xs:element>
  </xs:schema>
</types></definitions>"""
SERVICE = """
from: {format: soap, namespaces: {o: 'urn:o'}, schema: schemas/orders.wsdl}
to: {format: soap, namespaces: {o: 'urn:o'}, schema: schemas/orders.wsdl}
out: {o:order: {number: = /o:order/number}}
"""


def test_a_service_description(folder: Path) -> None:
    (folder / "schemas/orders.wsdl").write_text(ORDERS, "utf-8")
    mapping = usable(folder, SERVICE)
    order = '<soap:Envelope xmlns:soap="{}"><soap:Body>{}</soap:Body></soap:Envelope>'
    inside = '<o:order xmlns:o="urn:o"><number>{}</number></o:order>'
    space = "http://schemas.xmlsoap.org/soap/envelope/"
    good = mapping.render(xml(order.format(space, inside.format(7)), "soap"), CONTEXT)
    assert b"<number>7</number>" in good.body
    with pytest.raises(MappingError):
        mapping.render(xml(order.format(space, inside.format("x")), "soap"), CONTEXT)
    assert refused(folder, SERVICE.replace("/o:order/number", "/o:order/o:number")) == [
        ("M156", "in the schema order has no element 'o:number'")
    ]
    assert refused(folder, SERVICE.replace("{number:", "{o:number:"))[0] == (
        "M157",
        "in the schema order has no element 'o:number'",
    )


def test_what_a_schema_says_nothing_of(folder: Path) -> None:
    """Functions, a choice of paths, other maps: no diagnostics where nothing is known."""
    text = """
from: {format: xml, namespaces: {'': 'urn:o'}, schema: schemas/order.xsd}
to: {format: json}
let:
  order: = /order
  either: = $order/note ?? $order/number
out:
  a: = $either
  b: = $order/* | text
  c: = xpath('/*')
  d: = $order.@xsi:type
  e: = $src/number
  f: {$use: Part, $with: {part: = $order}}
maps:
  Part:
    args: [part]
    out: {n: "= $part/number[1]", of: "= ($part | default($part)).note"}
"""
    usable(folder, text)
    assert refused(folder, text.replace("$part/number[1]", "$part/no")) == [
        ("M156", "in the schema order has no element 'no'")
    ]
