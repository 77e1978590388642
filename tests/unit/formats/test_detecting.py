"""What a file is, found by its first bytes."""

from __future__ import annotations

import pytest

from engine.contract import FormatError
from engine.formats.detecting import detect, root_element

MSH = "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5.1\r"
CDA = '<?xml version="1.0"?>\n<!-- a > b -->\n<ClinicalDocument xmlns="urn:hl7-org:v3"><id/>'


@pytest.mark.parametrize(
    ("body", "format"),
    [
        (MSH.encode(), "hl7v2"),
        (b"\xef\xbb\xbf" + MSH.encode(), "hl7v2"),
        (b"\x0b" + MSH.encode() + b"\x1c\r", "hl7v2"),
        (MSH.encode("utf-16"), "hl7v2"),
        (MSH.encode("utf-16-be"), "hl7v2"),
        (MSH.encode("utf-32-le"), "hl7v2"),
        (b"\n\nFHS|^~\\&\rBHS|^~\\&\r" + MSH.encode(), "hl7v2"),
        (MSH.replace("|A|", "|张|").encode("gb18030"), "hl7v2"),
        (b'{"resourceType": "Patient"}', "fhir"),
        (b'\xef\xbb\xbf {"id": "1", "resourceType": "Patient"}', "fhir"),
        (b'{"id":"' + b"x" * 100_000 + b'","resourceType":"Patient"}', "fhir"),
        (b'{"order": 1}', "json"),
        (b"[1]", "json"),
        (CDA.encode(), "cda"),
        (CDA.encode("utf-16"), "cda"),
        (b'<act xmlns="urn:hl7-org:v3"/>', "cda"),
        (b"<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/>", "soap"),
        (b"<order><id>1</id></order>", "xml"),
        (b'<section><templateId root="2.16.840.1.113883.10.20.22.2.6"/></section>', "cda"),
        (b"<section><title>not of CDA</title></section>", "xml"),
    ],
)
def test_formats_are_known_by_their_start(body: bytes, format: str) -> None:
    assert detect(body) == format


@pytest.mark.parametrize("body", [b"", b"hello", b"MSHA", b"%PDF-1.7", b"\x00\x01\x02"])
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError, match="FORMAT-UNKNOWN"):
        detect(body)


def test_the_root_of_an_xml_text() -> None:
    assert root_element("<h:a xmlns:h = 'urn:x' b='>'>") == ("a", "urn:x")
    assert root_element("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>") == ("a", "")
    assert root_element("no tag") == ("", "")
