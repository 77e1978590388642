"""What a schema, or the schemas of a WSDL, declare."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract import Payload
from engine.formats import FORMATS
from engine.formats.validators import validator
from engine.formats.xml.declarations import Content, Declarations
from engine.formats.xml.names import SOAP_11
from engine.formats.xml.reading import read_xml
from engine.formats.xml.schema import XmlSchema
from engine.formats.xml.wsdl import WSDL, unfolding

XS = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"'
MAIN = f"""<xs:schema {XS} xmlns="urn:o" xmlns:t="urn:t" targetNamespace="urn:o"
    elementFormDefault="qualified">
  <xs:include schemaLocation="parts/types.xsd"/>
  <xs:import namespace="urn:t" schemaLocation="parts/t.xsd"/>
  <xs:element name="order" type="Order"/>
  <xs:element name="payment" abstract="true" type="Payment"/>
  <xs:element name="cash" substitutionGroup="payment"/>
  <xs:element name="card" substitutionGroup="payment"><xs:complexType><xs:complexContent>
    <xs:extension base="Payment"><xs:attribute name="number" use="required"/></xs:extension>
  </xs:complexContent></xs:complexType></xs:element>
  <xs:complexType name="Payment"><xs:sequence>
    <xs:element name="sum"/></xs:sequence></xs:complexType>
  <xs:complexType name="Order"><xs:complexContent><xs:extension base="Thing">
    <xs:sequence>
      <xs:element ref="payment"/>
      <xs:group ref="Ends"/>
      <xs:choice maxOccurs="unbounded"><xs:element name="a"/><xs:element name="b"/></xs:choice>
      <xs:element name="part" type="Order" minOccurs="0"/>
      <xs:element ref="t:note"/>
    </xs:sequence>
    <xs:attributeGroup ref="Marks"/>
  </xs:extension></xs:complexContent></xs:complexType>
</xs:schema>"""
TYPES = f"""<xs:schema {XS} elementFormDefault="qualified">
  <xs:complexType name="Thing"><xs:sequence>
    <xs:element name="id" type="Id"/></xs:sequence></xs:complexType>
  <xs:complexType name="Urgent"><xs:complexContent><xs:extension base="Thing">
    <xs:sequence><xs:element name="until"/></xs:sequence>
  </xs:extension></xs:complexContent></xs:complexType>
  <xs:simpleType name="Id"><xs:restriction base="xs:string"/></xs:simpleType>
  <xs:group name="Ends"><xs:sequence><xs:element name="from"/><xs:element name="to" minOccurs="0"/>
  </xs:sequence></xs:group>
  <xs:attributeGroup name="Marks"><xs:attribute name="mark" use="required"/></xs:attributeGroup>
</xs:schema>"""
OTHER = f"""<xs:schema {XS} targetNamespace="urn:t">
  <xs:import namespace="urn:o" schemaLocation="../main.xsd"/>
  <xs:element name="note"><xs:complexType mixed="true"><xs:sequence>
    <xs:element name="by"/><xs:any processContents="lax" namespace="##other"/></xs:sequence>
  </xs:complexType></xs:element>
  <xs:element name="thing" xmlns:o="urn:o" type="o:Thing"/>
</xs:schema>"""
FILES = {"s/main.xsd": MAIN, "s/parts/types.xsd": TYPES, "s/parts/t.xsd": OTHER}

SERVICE = f"""<definitions xmlns="{WSDL}" {XS} xmlns:o="urn:o" xmlns:c="urn:c">
  <types>
    <xs:schema targetNamespace="urn:o" elementFormDefault="qualified">
      <xs:import namespace="urn:c"/>
      <xs:element name="order"><xs:complexType><xs:sequence>
        <xs:element name="number" type="c:Number"/></xs:sequence></xs:complexType></xs:element>
    </xs:schema>
    <xs:schema targetNamespace="urn:c">
      <xs:simpleType name="Number"><xs:restriction base="xs:positiveInteger"/></xs:simpleType>
    </xs:schema>
    <xs:schema targetNamespace="urn:o">
      <xs:import namespace="urn:c"/>
      <xs:element name="answer" type="c:Number"/>
    </xs:schema>
  </types>
</definitions>"""


def read(path: str) -> bytes | None:
    found = FILES.get(path)
    return None if found is None else found.encode()


@pytest.fixture(scope="module")
def declarations() -> Declarations:
    return Declarations("s/main.xsd", read)


def content(declarations: Declarations, *names: str) -> Content:
    found = declarations.content(declarations.roots[names[0]])
    for name in names[1:]:
        found = declarations.content(found.children[name].declared)
    return found


def o(*names: str) -> list[str]:
    return [f"{{urn:o}}{name}" for name in names]


def test_the_schema_of_these_tests_is_one() -> None:
    XmlSchema.attached("s/main.xsd", read)


def test_roots(declarations: Declarations) -> None:
    assert set(declarations.roots) == {
        *o("order", "payment", "cash", "card"), "{urn:t}note", "{urn:t}thing",
    }  # fmt: skip


def test_children_of_an_extended_type_in_their_order(declarations: Declarations) -> None:
    order = content(declarations, "{urn:o}order")
    assert [*order.children] == [
        *o("id", "payment", "cash", "card", "from", "to", "a", "b", "part"), "{urn:t}note",
    ]  # fmt: skip
    positions = [one.position for one in order.children.values()]
    assert positions == sorted(one for one in positions if one is not None)
    needed = [tag for tag, one in order.children.items() if one.required]
    assert needed == [*o("id", "payment", "cash", "card", "from"), "{urn:t}note"]
    assert {tag for tag, one in order.children.items() if one.many} == {*o("a", "b")}
    a, b = (order.children[name] for name in o("a", "b"))
    assert a.position == b.position
    assert order.attributes == {"mark": True}
    assert not (order.open)
    assert not (order.text)
    assert not (order.open_attributes)


def test_a_substitution_group_stands_for_its_head(declarations: Declarations) -> None:
    order = content(declarations, "{urn:o}order")
    assert {order.children[name].stands_for for name in o("payment", "cash", "card")} == {
        *o("payment")
    }
    assert [*content(declarations, *o("order", "cash")).children] == o("sum")
    card = content(declarations, *o("order", "card"))
    assert ([*card.children], card.attributes) == (o("sum"), {"number": True})


def test_a_type_within_itself(declarations: Declarations) -> None:
    assert "{urn:o}part" in content(declarations, *o("order", "part", "part", "part")).children


def test_a_wildcard_and_an_untyped_element_are_open(declarations: Declarations) -> None:
    note = content(declarations, "{urn:o}order", "{urn:t}note")
    assert note.open
    assert note.text
    assert [*note.children] == ["by"]
    assert content(declarations, *o("order", "a")).open


def test_types_that_an_element_may_turn_out_to_have(declarations: Declarations) -> None:
    thing = content(declarations, "{urn:t}thing")
    assert thing.children["{urn:o}id"].required
    assert not thing.children["{urn:o}until"].required


def test_a_simple_type_holds_text(declarations: Declarations) -> None:
    found = content(declarations, *o("order", "id"))
    assert found.text
    assert not found.children
    assert not found.open


def service(path: str) -> bytes | None:
    return SERVICE.encode() if path == "s/orders.wsdl" else None


def test_schemas_of_a_wsdl() -> None:
    assert set(Declarations("s/orders.wsdl", service).roots) == {*o("order", "answer")}
    schema = XmlSchema.attached("s/orders.wsdl", service)

    def findings(text: str) -> list[str]:
        root, _ = read_xml(text.encode(), None, {})
        return [str(one) for one in schema.validate(root)]

    assert findings('<order xmlns="urn:o"><number>7</number></order>') == []
    assert findings('<answer xmlns="urn:o">7</answer>') == []
    assert findings('<order xmlns="urn:o"><number>x</number></order>') == [
        "/order/number: the value does not have the type of the schema"
    ]


def test_a_wsdl_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "orders.wsdl"
    file.write_text(SERVICE, "utf-8")
    envelope = f'<e:Envelope xmlns:e="{SOAP_11}"><e:Body>{{}}</e:Body></e:Envelope>'
    check = validator("soap", schema=file)

    def findings(body: str) -> list[str]:
        payload = Payload(envelope.format(body).encode())
        return [one.problem for one in check(FORMATS["soap"].parse(payload))]

    assert findings('<answer xmlns="urn:o">7</answer>') == []
    assert findings("") == ["an empty envelope"]
    assert findings('<answer xmlns="urn:o">x</answer>') == [
        "the value does not have the type of the schema"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'<definitions xmlns="{WSDL}"/>', "no schema under types"),
        (f'<!DOCTYPE d><definitions xmlns="{WSDL}"/>', "DOCTYPE"),
    ],
)
def test_a_wsdl_that_cannot_be_used(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        unfolding(lambda path: text.encode())("a.wsdl")


def test_what_only_mentions_wsdl_is_no_wsdl() -> None:
    text = f"<a>{WSDL}</a>".encode()
    assert unfolding(lambda path: text)("a.xsd") == text
