"""What each path finds in XML, SOAP and CDA, and how the sources of values are named."""

from __future__ import annotations

from typing import Any

import pytest

from engine.contract import Document, MappingError, Payload
from engine.formats import FORMATS
from engine.mapping import explain
from tests.unit.mapping.reading import CONTEXT, mapped, mapping, value


def xml(text: str, format: str = "xml") -> Document:
    return FORMATS[format].parse(Payload(text.encode()))


CDA = xml(
    """<?xml version="1.0"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <id root="1.2" extension="D1"/><code code="34133-9"/>
  <recordTarget><patientRole>
    <id root="1.1"/><id root="1.2" extension="77"/><id root="1.3" extension="88"/>
    <patient>
      <name><given/><given>Anna</given><given>Maria</given> <family> Müller </family></name>
      <administrativeGenderCode nullFlavor="UNK"/>
      <sdtc:raceCode code="R"/><raceCode code="S"/>
    </patient>
  </patientRole></recordTarget>
  <component><section><templateId root="a"/><templateId root="b"/>
    <code code="1"/><title>One</title>
    <text><paragraph>A <content ID="p1">few <b>words</b></content>.</paragraph>
      <list><item>x</item><item>y</item></list>
      <table><tbody><tr><td>1</td><td>2</td></tr></tbody></table></text>
  </section></component>
  <component><section><templateId root="c"/><code code="2"/><title/>
    <entry><observation><value xsi:type="PQ" value="6.20" unit="g"/></observation></entry>
    <entry><observation><value xsi:type="CD" code="z"/></observation></entry>
  </section></component>
</ClinicalDocument>""",
    "cda",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ClinicalDocument/id.@extension", "D1"),
        ("/ClinicalDocument/id/@extension", "D1"),
        ("$src/id/@root", "1.2"),
        ("$src.id.@root", "1.2"),
        ("/ClinicalDocument/nothing", None),
        ("/Other/id/@root", None),
        ("/*/code/@code", "34133-9"),
        ("$src/recordTarget/patientRole/id/@extension", "77"),
        ("$src/recordTarget/patientRole/id[1]/@extension", None),
        ("$src/recordTarget/patientRole/id[last].@extension", "88"),
        ("$src/recordTarget/patientRole/id[*]/@extension", ["77", "88"]),
        ("$src/recordTarget/patientRole/id[*]", None),
        ("count($src/recordTarget/patientRole/id[*])", 3),
        ("$src/recordTarget/patientRole/id[.@root == '1.3'].@extension", "88"),
        ("$src/recordTarget/patientRole/id[exists(.@extension)][*].@root", ["1.2", "1.3"]),
        ("$src/recordTarget/patientRole/id[exists(.@extension)][2].@root", "1.3"),
        ("$src/recordTarget/patientRole/patient/name/given", None),
        ("$src/recordTarget/patientRole/patient/name/given[2]", "Anna"),
        ("$src/recordTarget/patientRole/patient/name/given[*]", ["Anna", "Maria"]),
        ("$src/recordTarget/patientRole/patient/name/given[. == 'Maria']", "Maria"),
        ("$src/recordTarget/patientRole/patient/name/family", "Müller"),
        ("$src/recordTarget/patientRole/patient/name | text", "Anna Maria Müller"),
        ("exists($src/recordTarget/patientRole/patient/administrativeGenderCode)", True),
        ("$src/recordTarget/patientRole/patient/administrativeGenderCode ?? 'x'", "x"),
        ("$src/recordTarget/patientRole/patient/sdtc:raceCode/@code", "R"),
        ("$src/recordTarget/patientRole/patient/raceCode/@code", "S"),
        ("$src/component/section[.templateId.@root == 'b']/code/@code", "1"),
        ("$src/component/section[.templateId.@root == 'c']/code/@code", "2"),
        ("$src/component/section[.templateId/@root in ['c', 'd']]/code/@code", "2"),
        ("$src/component/section[.code.@code == '2']/entry[*]/observation/value.@xsi:type",
         ["PQ", "CD"]),
        ("$src/component/section/entry/observation/value[.@unit == 'g']/@value | number",
         "6.20"),
        ("$src/component[2]/section/entry[2]/*/value/@code", "z"),
        ("$src/component/section/title", "One"),
        ("$src/component[2]/section/title", None),
        ("count($src/component/section[*])", 2),
        ("$src/component/section/text | text", "A few words.\nx\ny\n1 2"),
        ("$src/component/section/text/paragraph/content/@ID", "p1"),
        ("first($src/component/section/title)", "One"),
        ("list($src/component/section/title, 'x')", ["One", "x"]),
        ("count($src/component[*]) / 2", 1),
        ("$message.id | left(8)", "0190f3a8"),
    ],
)  # fmt: skip
def test_cda(path: str, expected: Any) -> None:
    found = value(path, CDA)
    assert str(found) == expected if "number" in path else found == expected


def test_truth_of_elements() -> None:
    there = "/ClinicalDocument/recordTarget/patientRole/patient/administrativeGenderCode"
    assert value(f"[1, 2] | first | default({there})", CDA) == 1
    out = f"""
out:
  - {{$if: '{there}', a: one}}
  - {{$if: '{there}[*]', a: two}}
  - {{$if: 'not {there}', a: three}}
  - {{$if: '/ClinicalDocument/nothing', a: four}}
"""
    assert mapped(out, CDA, "json") == [{"a": "one"}, {"a": "two"}]


ORDER = """<o:order xmlns:o="urn:o" xmlns="urn:d"><number n:a="1" a="2" xmlns:n="urn:n">7</number>
<o:line-item o:id="x">a</o:line-item><line-item>b</line-item></o:order>"""


@pytest.mark.parametrize(
    ("namespaces", "path", "expected"),
    [
        ("{}", "/order/number", "7"),
        ("{}", "$src/line-item[*]", ["a", "b"]),
        ("{p: 'urn:o'}", "/p:order/p:line-item", "a"),
        ("{p: 'urn:o'}", "/p:order/line-item[2]", "b"),
        ("{'': 'urn:d', p: 'urn:o'}", "/p:order/line-item", "b"),
        ("{'': 'urn:d'}", "/order/number", None),
        ("{'': 'urn:d', q: 'urn:n'}", "$src/number.@q:a", "1"),
        ("{'': 'urn:d', q: 'urn:n'}", "$src/number/@a", "2"),
        ("{}", "$src/'line-item'", "a"),
        ("{}", "$src/@a", None),
    ],
)
def test_namespaces(namespaces: str, path: str, expected: Any) -> None:
    made = mapping(
        f"out: {{a: \"= {path} ?? 'none'\"}}\n", f"xml, namespaces: {namespaces}", "json"
    )
    assert made.apply(xml(ORDER), CONTEXT) == {"a": "none" if expected is None else expected}


@pytest.mark.parametrize("version", ["schemas.xmlsoap.org/soap/envelope/",
                                     "www.w3.org/2003/05/soap-envelope"])  # fmt: skip
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/soap:Envelope/soap:Header/user", "u"),
        ("/soap:Envelope/soap:Body/order/number", "1"),
        ("$src/soap:Body/*/number", "1"),
        ("/*/number", "1"),
        ("/*[2]/number", "2"),
        ("/order[*]/number", ["1", "2"]),
        ("/order[.number == 2]/@a", "b"),
    ],
)
def test_soap(version: str, path: str, expected: Any) -> None:
    envelope = xml(
        f'<e:Envelope xmlns:e="http://{version}"><e:Header><user>u</user></e:Header><e:Body>'
        '<order><number>1</number></order><order a="b"><number>2</number></order>'
        "</e:Body></e:Envelope>",
        "soap",
    )
    assert value(path, envelope) == expected
    assert FORMATS["soap"].key(envelope) == "order"


def test_variables_maps_and_loops_hold_elements() -> None:
    out = """
let:
  role: = /ClinicalDocument/recordTarget/patientRole
  ids: = $role/id[*]
out:
  ids: = $ids | each('Id')
  second: = $ids[2]/@extension
  known: = $ids/@extension
  name: = $role/patient/name | each('Name')
  sections:
    - $for: s in /ClinicalDocument/component/section[*]
      $let: {code: '= $s/code/@code'}
      code: = $code
      template: = $s/templateId[*].@root
      values:
        - $for: v in $s/entry[*]/observation/value
          type: = $v.@xsi:type
          is: = $v/@value ?? $v/@code
          of: = $s/code/@code
maps:
  Id: {args: [ii], out: {root: = $ii.@root, extension: = $ii/@extension}}
  Name: {args: [pn], out: {family: = $pn/family, given: '= $pn/given[*]'}}
"""
    expected = {
        "ids": [{"root": "1.1"}, {"root": "1.2", "extension": "77"},
                {"root": "1.3", "extension": "88"}],
        "second": "77",
        "known": "77",
        "name": {"family": "Müller", "given": ["Anna", "Maria"]},
        "sections": [
            {"code": "1", "template": ["a", "b"]},
            {"code": "2", "template": ["c"], "values": [
                {"type": "PQ", "is": "6.20", "of": "2"}, {"type": "CD", "is": "z", "of": "2"}]},
        ],
    }  # fmt: skip
    assert mapped(out, CDA, "json") == expected
    sources = {
        leaf.target: [source.path for source in leaf.sources]
        for leaf in explain(mapping(out, "cda", "json"), CDA, CONTEXT)
    }
    role = "/ClinicalDocument/recordTarget/patientRole"
    assert sources["ids[3].extension"] == [f"{role}/id[3]/@extension"]
    assert sources["second"] == [f"{role}/id[2]/@extension"]
    assert sources["name.given[2]"] == [f"{role}/patient/name/given[3]"]
    assert sources["sections[2].code"] == ["/ClinicalDocument/component[2]/section/code/@code"]
    assert sources["sections[2].template[1]"] == [
        "/ClinicalDocument/component[2]/section/templateId/@root"
    ]
    assert sources["sections[2].values[2].is"] == [
        "/ClinicalDocument/component[2]/section/entry[2]/observation/value/@value",
        "/ClinicalDocument/component[2]/section/entry[2]/observation/value/@code",
    ]


def test_a_demanded_element_is_missing() -> None:
    with pytest.raises(MappingError, match="R101") as caught:
        value("/ClinicalDocument/setId/@root!", CDA)
    assert "34133" not in str(caught.value)


def test_narrative_is_found_by_reference_and_shown_as_xhtml() -> None:
    section = xml(
        """<section xmlns="urn:hl7-org:v3"><text>Before <content ID="p1" styleCode="Bold">a
        <sub>2</sub> &amp; b</content><list listType="ordered"><caption>L</caption>
        <item>x</item></list><table border="1"><caption>T</caption><tr onclick="x()">
        <td colspan="2">y<br/></td></tr></table><script>z</script>
        <linkHtml href="javascript:1">no</linkHtml><linkHtml href="https://a.b/">yes</linkHtml>
        <renderMultiMedia referencedObject="i"/></text>
        <entry><act><text><reference value="#p1"/></text></act></entry></section>""",
        "cda",
    )
    assert value("/section/entry/act/text/reference.@value | narrative", section) == "a 2 & b"
    assert value("narrative('#p2')", section) is None
    div = str(value("/section/text | narrative_html", section))
    assert " ".join(div.split()) == (
        '<div xmlns="http://www.w3.org/1999/xhtml">Before <b>a <sub>2</sub> &amp; b</b><b>L</b>'
        '<ol><li>x</li></ol><table><caption>T</caption><tr> <td colspan="2">y<br/></td></tr>'
        '</table>z no<a href="https://a.b/">yes</a> </div>'
    )
    out = "out: {a: = /section/entry/act/text/reference.@value | narrative}"
    (leaf,) = explain(mapping(out, "cda", "json"), section, CONTEXT)
    assert [source.path for source in leaf.sources] == [
        "/section/entry/act/text/reference/@value",
        "/section/text/content",
    ]
