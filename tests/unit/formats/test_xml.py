"""XML, SOAP and CDA: hardened reading, exact bytes, and writing from trees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import FormatError, Payload
from engine.formats import FORMATS, NULL, XmlDocument
from engine.formats.xml import XmlTree, place_of, text_inside

XML, SOAP, CDA = FORMATS["xml"], FORMATS["soap"], FORMATS["cda"]


def read(body: bytes, format: str = "xml", charset: str | None = None) -> XmlDocument:
    document = FORMATS[format].parse(Payload(body), charset=charset)
    assert isinstance(document, XmlDocument)
    return document


def written(tree: Any, format: str = "xml", **namespaces: str) -> str:
    named = {prefix.strip("_"): uri for prefix, uri in namespaces.items()}
    body = FORMATS[format].write(XmlTree(tree, named)).body.decode()
    assert body.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    return body.partition("\n")[2].rstrip("\n")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "XML-SYNTAX"),
        (b"<a>", "XML-SYNTAX"),
        (b"<a/><b/>", "XML-SYNTAX"),
        (b"<a>&x;</a>", "XML-SYNTAX"),
        (b"<p:a/>", "XML-SYNTAX"),
        (b"<a>\xff</a>", "XML-SYNTAX"),
        (b"<a>\x00</a>", "XML-SYNTAX"),
        (b"<!DOCTYPE a><a/>", "XML-DOCTYPE"),
        (b'<?xml version="1.0"?> <!-- x --> <?y?>\n<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
         "XML-DOCTYPE"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"), "XML-DOCTYPE"),
        (b"<a>" * 300 + b"</a>" * 300, "XML-DEPTH"),
        (b"<a>" * 300 + b"x" * 9_000_000 + b"</a>" * 300, "XML-DEPTH"),
        (b'<?xml version="1.0" encoding="EBCDIC-X"?><a/>', "CHARSET-UNKNOWN"),
        (b'<?xml version="1.0" encoding="gb18030"?><a>\xff</a>', "CHARSET-DECODE"),
        (b"\xff\xfe<\x00a", "CHARSET-DECODE"),
    ],
)  # fmt: skip
def test_what_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(body)
    assert caught.value.info.code == code


@pytest.mark.parametrize(
    ("codec", "declared"),
    [
        ("utf-8", ""),
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("gb18030", "GB18030"),
        ("gbk", "gb2312"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("big5", "Big5"),
    ],
)
def test_character_sets(codec: str, declared: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    body = f"{head}<name>張三 李</name>".encode(codec)
    document = read(body)
    assert text_inside(document.value) == "張三 李"
    assert XML.write(document).body == body


def test_the_channel_s_charset_counts_where_nothing_is_declared() -> None:
    body = "<a>珅</a>".encode("gbk")
    document = read(body, charset="gbk")
    assert document.value.text == "珅"
    assert XML.write(document).body == body
    other = XML.write(document, charset="utf-8").body
    assert other.decode() == '<?xml version="1.0" encoding="UTF-8"?>\n<a>珅</a>\n'


def test_a_large_text_is_read() -> None:
    body = b"<a><b>" + b"QUJD" * 3_000_000 + b"</b></a>"
    assert len(read(body).value[0].text) == 12_000_000


def test_a_fragment_of_cda_may_leave_declarations_out() -> None:
    body = b"<section><value xsi:type='CD'/><sdtc:raceCode code='x'/></section>"
    value = read(body, "cda").value
    assert value[0].get("{http://www.w3.org/2001/XMLSchema-instance}type") == "CD"
    assert value[1].tag == "{urn:hl7-org:sdtc}raceCode"
    with pytest.raises(FormatError, match="XML-SYNTAX"):
        read(b"<section><other:a/></section>", "cda")


def test_comments_and_instructions_do_not_cut_texts() -> None:
    assert read(b"<a>x<!-- - -->y<?z?>!</a>").value.text == "xy!"


@pytest.mark.parametrize(
    ("body", "format", "key", "control_id"),
    [
        (b"<a:b xmlns:a='urn:a'/>", "xml", "b", ""),
        (b"<m><id>7</id></m>", "xml", "m", "7"),
        (b"<ClinicalDocument xmlns='urn:hl7-org:v3'><id root='1' extension='2'/>"
         b"<code code='34133-9'/></ClinicalDocument>", "cda", "34133-9", "2"),
        (b"<PRPA_IN900300UV xmlns='urn:hl7-org:v3'><id root='1'/></PRPA_IN900300UV>", "cda",
         "PRPA_IN900300UV", "1"),
        (b"<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Header/><e:Body>"
         b"<Order><id>3</id></Order></e:Body></e:Envelope>", "soap", "Order", "3"),
        (b"<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body/></e:Envelope>",
         "soap", "", ""),
    ],
)  # fmt: skip
def test_key_and_control_id(body: bytes, format: str, key: str, control_id: str) -> None:
    document = read(body, format)
    assert FORMATS[format].key(document) == key
    assert FORMATS[format].control_id(document) == control_id


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({"a": {}}, "<a/>"),
        ({"a": "x<&>\"'"}, "<a>x&lt;&amp;&gt;\"'</a>"),
        ({"a": {"b": ["1", "2"], "c": True, "d": Decimal("6.20"), "e": 7}},
         "<a><b>1</b><b>2</b><c>true</c><d>6.20</d><e>7</e></a>"),
        ({"a": {"@x": '"<\n', "@xml:lang": "zh", "#text": "t"}},
         '<a x="&quot;&lt;&#10;" xml:lang="zh">t</a>'),
        ({"a": {"b": {"@x": "1"}, "n": NULL, "@z": NULL}}, '<a><b x="1"/></a>'),
        ({"a": {"#content": ["x ", {"b": "y"}, " z ", {"br": {}}, "w"]}},
         "<a>x <b>y</b> z <br/>w</a>"),
        ({"a": {"@t": "1", "b": [{"#text": "x"}, {"@c": "2"}]}},
         '<a t="1"><b>x</b><b c="2"/></a>'),
        ([{"a": "x"}], None),
        ({"a": "x", "b": "y"}, None),
        ({"a": {"p:b": "x"}}, None),
        ({"a": {"b c": "x"}}, None),
        ({"a": "\x01"}, None),
        ({"a": {"@x": ["1", "2"]}}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_writing(tree: Any, text: str | None) -> None:
    if text is not None:
        assert written(tree) == text
        return
    with pytest.raises(FormatError, match="XML-TREE"):
        written(tree)


def test_namespaces_that_are_written() -> None:
    assert written({"a": {"p:b": {"@q:c": "1"}}}, __="urn:d", p="urn:p", q="urn:q", r="urn:r") in (
        '<a xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" xmlns:r="urn:r"><p:b q:c="1"/></a>'
    )
    assert written({"ClinicalDocument": {"id": {"@root": "1"}}}, "cda") == (
        '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1"/></ClinicalDocument>'
    )
    assert written({"value": {"@xsi:type": "CD"}}, "cda") == (
        '<value xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:type="CD"/>'
    )


def test_soap_output_stands_in_an_envelope() -> None:
    envelope = "http://schemas.xmlsoap.org/soap/envelope/"
    assert written({"order": {"n": "1"}}, "soap") == (
        f'<soap:Envelope xmlns:soap="{envelope}"><soap:Body><order><n>1</n></order></soap:Body>'
        "</soap:Envelope>"
    )
    whole = {"soap:Envelope": {"soap:Header": {"u": "x"}, "soap:Body": {"o": "y"}}}
    newer = "http://www.w3.org/2003/05/soap-envelope"
    payload = SOAP.write(XmlTree(whole, {"soap": newer}))
    assert payload.content_type == "application/soap+xml"
    assert SOAP.key(SOAP.parse(payload)) == "o"
    assert SOAP.write(XmlTree(whole)).content_type == "text/xml"


def test_characters_that_a_charset_lacks_become_references() -> None:
    payload = XML.write(XmlTree({"a": {"@b": "€", "#text": "珅"}}), charset="8859/1")
    assert payload.body.endswith(b'<a b="&#8364;">&#29637;</a>\n')
    assert XML.parse(payload).value.text == "珅"  # type: ignore[attr-defined]
    with pytest.raises(FormatError, match="CHARSET-UNKNOWN"):
        XML.write(XmlTree({"a": "x"}), charset="nothing")


PIECES = st.sampled_from(
    ["<a>", "</a>", "<a x='1'>", "<p:b/>", "<!--", "-->", "<!DOCTYPE a", "[", "]>", "<![CDATA[",
     "]]>", "&amp;", "&x;", "&#0;", "<?xml version='1.0' encoding='", "GBK", "utf-16", "'?>",
     "<?", "?>", " xmlns='urn:a'", "珅", "\x00", "\ufeff", ">"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PIECES | st.text(max_size=4), max_size=20).map("".join),
    st.sampled_from(["utf-8", "utf-16", "gb18030"]),
    st.sampled_from(["xml", "soap", "cda"]),
)
def test_any_bytes_are_read_or_refused(text: str, codec: str, format: str) -> None:
    body = text.encode(codec, "replace")
    try:
        document = read(body, format)
    except FormatError:
        return
    assert FORMATS[format].write(document).body == body
    for element in document.value.iter():
        assert place_of(element).startswith("/")
        text_inside(element)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
TREES = st.recursive(
    TEXTS,
    lambda inner: (
        st.dictionaries(st.sampled_from(["b", "c", "@d"]), inner, min_size=1, max_size=3)
        | st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_what_is_written_is_read_again(tree: Any) -> None:
    try:
        payload = XML.write(XmlTree({"a": tree}))
    except FormatError:
        return
    document = XML.parse(payload)
    assert isinstance(document, XmlDocument)
    if isinstance(tree, str):
        assert (document.value.text or "") == tree
