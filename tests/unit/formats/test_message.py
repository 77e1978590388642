"""The lazy view: what it reads, what it tolerates, what it gives back."""

from __future__ import annotations

import pytest

from engine.contract import FormatError
from engine.formats import NULL
from engine.formats.hl7v2 import Hl7Message, parse

ADT = (
    b"MSH|^~\\&|HIS|GEN|BUS|HUB|20260301||ADT^A01^ADT_A01|42|P|2.5.1\r"
    b"EVN|A01|20260301\r"
    b"PID|1||100^^^GEN^MR~200^^^SSA^SS||Doe&van^Jo||19610615|F\r"
    b"PV1|1|I|W3^301\r"
    b"OBX|1|NM|K||4.2\r"
    b"ZPI|own|\r"
    b"OBX|2|ST|T||a\\T\\b\r"
)


def message(*segments: str, end: str = "\r") -> Hl7Message:
    header = r"MSH|^~\&|A|B|C|D|20260301||ADT^A01|1|P|2.5"
    return parse("".join(line + end for line in (header, *segments)).encode())


def test_the_header_says_what_the_message_is() -> None:
    view = parse(ADT)
    assert (view.format, view.type, view.control_id, view.version) == (
        "hl7v2",
        "ADT^A01",
        "42",
        "2.5.1",
    )


def test_fields_are_numbered_as_in_hl7() -> None:
    view = parse(ADT)
    header = view.header
    assert header.fields[:4] == ["MSH", "|", "^~\\&", "HIS"]
    pid = view.segment("PID")
    assert pid is not None
    assert pid.field(0) == "PID"
    assert pid.field(3) == "100^^^GEN^MR~200^^^SSA^SS"
    assert pid.field(99) == ""


def test_segments_come_in_order_and_by_name() -> None:
    view = parse(ADT)
    assert [segment.name for segment in view.all] == [
        "MSH", "EVN", "PID", "PV1", "OBX", "ZPI", "OBX",
    ]  # fmt: skip
    assert [segment.field(1) for segment in view.segments("OBX")] == ["1", "2"]
    assert view.segment("OBX") is view.segments("OBX")[0]
    assert view.segment("NK1") is None
    assert view.segments("NK1") == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-9.2", "A01"),
        ("PID-3", "100"),
        ("PID-3[2].1", "200"),
        ("PID-3[2].4", "SSA"),
        ("PID-3[3].4", None),
        ("PID-5.1", "Doe"),
        ("PID-5.1.2", "van"),
        ("PID-5.1.3", None),
        ("PID-5.2.2", None),
        ("OBX[2]-5", "a&b"),
        ("OBX[3]-5", None),
        ("ZPI-1", "own"),
        ("NK1-1", None),
    ],
)
def test_get_reads_one_leaf(path: str, text: str | None) -> None:
    assert parse(ADT).get(path) == text


@pytest.mark.parametrize(
    "path", ["", "PID", "PID-0", "PID-5.0", "pid-5", "PID-3[0]", "PID.3", "PID-3.1.1.1"]
)
def test_a_wrong_path_is_an_error(path: str) -> None:
    with pytest.raises(FormatError) as error:
        parse(ADT).get(path)
    assert error.value.info.code == "HL7-PATH"


def test_an_untouched_message_gives_its_very_bytes_back() -> None:
    view = parse(ADT)
    list(view.all)
    assert view.to_bytes() is ADT


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_an_edit_changes_only_its_segment(end: str) -> None:
    body = ADT.replace(b"\r", end.encode())
    view = parse(body)
    view.set("PID-5.2", "A|B")
    assert view.to_bytes() == body.replace(b"van^Jo", b"van^A\\F\\B")
    assert parse(view.to_bytes()).get("PID-5.2") == "A|B"


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("PID-8", "M", "PID|1||100^^^GEN^MR~200^^^SSA^SS||Doe&van^Jo||19610615|M"),
        ("PID-8", NULL, 'PID|1||100^^^GEN^MR~200^^^SSA^SS||Doe&van^Jo||19610615|""'),
        ("PID-8", None, "PID|1||100^^^GEN^MR~200^^^SSA^SS||Doe&van^Jo||19610615|"),
        ("PID-3", "7", "PID|1||7||Doe&van^Jo||19610615|F"),
        ("PID-3.1", "7", "PID|1||7^^^GEN^MR~200^^^SSA^SS||Doe&van^Jo||19610615|F"),
        ("PID-3[2].1", "7", "PID|1||100^^^GEN^MR~7^^^SSA^SS||Doe&van^Jo||19610615|F"),
        ("PID-3[3].1", "7", "PID|1||100^^^GEN^MR~200^^^SSA^SS~7||Doe&van^Jo||19610615|F"),
        ("PID-5.1", "Roe", "PID|1||100^^^GEN^MR~200^^^SSA^SS||Roe^Jo||19610615|F"),
        ("PID-5.1.2", "de", "PID|1||100^^^GEN^MR~200^^^SSA^SS||Doe&de^Jo||19610615|F"),
        ("PID-10.2", "x", "PID|1||100^^^GEN^MR~200^^^SSA^SS||Doe&van^Jo||19610615|F||^x"),
    ],
)
def test_set_replaces_what_the_path_names(path: str, value: str | None, line: str) -> None:
    view = parse(ADT)
    view.set(path, value)
    assert view.to_bytes().split(b"\r")[2].decode() == line


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("trailing", [True, False])
def test_set_adds_a_missing_segment_at_the_end(end: str, trailing: bool) -> None:
    text = f"MSH|^~\\&|A{end}PID|1" + (end if trailing else "")
    view = parse(text.encode())
    view.set("ZZ1-2", "x")
    assert view.to_bytes().decode() == f"MSH|^~\\&|A{end}PID|1{end}ZZ1||x{end}"
    assert view.get("ZZ1-2") == "x"
    view.set("ZZ1[2]-1", "y")
    assert view.get("ZZ1[2]-1") == "y"
    with pytest.raises(FormatError):
        view.set("ZZ1[9]-1", "y")


@pytest.mark.parametrize("path", ["MSH-1", "MSH-2"])
def test_the_delimiters_cannot_be_set(path: str) -> None:
    with pytest.raises(FormatError):
        parse(ADT).set(path, "x")


def test_explicit_null_is_read_as_its_two_quotes() -> None:
    assert message('PID|||""').get("PID-3") == '""'


@pytest.mark.parametrize(
    "body",
    [
        ADT.replace(b"\r", b"\n"),
        ADT.replace(b"\r", b"\r\n"),
        ADT.replace(b"\r", b"\r\n", 3).replace(b"\rPV1", b"\nPV1"),
        ADT.rstrip(),
        b"\r\n \r\n" + ADT,
        b"\xef\xbb\xbf" + ADT,
        b"\xef\xbb\xbf\n" + ADT,
        b"\x0b" + ADT + b"\x1c\r",
        ADT + b"\x1c",
        ADT + b"\r\n\r\n  \x00",
        ADT.replace(b"\r", b"\r\r"),
        ADT.replace(b"\r", b"\n  \t").rstrip(),
        ADT.replace(b"\r", b"\r ").rstrip(),
        ADT.decode().encode("utf-16"),
        ADT.decode().encode("utf-16-le"),
        ADT.decode().encode("utf-16-be"),
        ADT.decode().encode("utf-32"),
    ],
)
def test_every_wrapping_is_tolerated_and_kept(body: bytes) -> None:
    view = parse(body)
    assert [segment.name for segment in view.all] == [
        "MSH", "EVN", "PID", "PV1", "OBX", "ZPI", "OBX",
    ]  # fmt: skip
    assert view.get("OBX[2]-5") == "a&b"
    assert view.to_bytes() == body
    view.set("PV1-2", "O")
    assert parse(view.to_bytes()).get("PV1-2") == "O"
    view.set("PV1-2", "I")
    assert view.to_bytes() == body


def test_a_line_that_is_no_segment_continues_the_field_before_it() -> None:
    view = message("OBX|1|TX|N||first", "second line|unit", "PV1|1|I")
    assert view.get("OBX-5") == "first\rsecond line"
    assert view.get("OBX-6") == "unit"
    assert view.get("PV1-2") == "I"
    body = view.to_bytes()
    view.set("OBX-6", "mg")
    assert view.to_bytes() == body.replace(b"|unit", b"|mg")


def test_a_header_broken_by_a_line_end_is_read_whole() -> None:
    view = parse(b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|4-\nID|P|2.3\nPID|1")
    assert view.control_id == "4-\nID"
    assert view.version == "2.3"
    assert view.get("PID-1") == "1"
    view.set("MSH-11", "T")
    assert view.to_bytes() == b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|4-\nID|T|2.3\nPID|1"


@pytest.mark.parametrize("line", ["X", "XY", "|||", "pid|1", "PI", "OBXX|1", "ÄBC|1", "A B|1"])
def test_what_looks_little_like_a_segment_is_not_one(line: str) -> None:
    assert [segment.name for segment in message("NTE|1", line, "PV1|1").all] == [
        "MSH", "NTE", "PV1",
    ]  # fmt: skip


def test_a_name_alone_is_a_segment() -> None:
    view = message("PID", "PV1|1")
    assert view.segment("PID") is not None
    assert view.get("PID-3") is None


@pytest.mark.parametrize(
    ("header", "type_", "version"),
    [
        (r"MSH|^~\&", "", ""),
        ("MSH|", "", ""),
        (r"MSH|^~\&|||||||ADT|1|P|2.2", "ADT^A04", "2.2"),
        (r"MSH|^~\&|||||||ADT^A31^ADT_A05|1|P|2.999^CH", "ADT^A31", "2.999"),
        (r"MSH|^~\&|||||||^A31|1|P|2.3.z", "^A31", "2.3.z"),
        (r"MSH|#!@%*|||||||ORU#R01|1|P|2.7", "ORU^R01", "2.7"),
    ],
)
def test_headers_that_lack_something_are_read(header: str, type_: str, version: str) -> None:
    view = parse(f"{header}\rEVN|A04".encode())
    assert (view.type, view.version) == (type_, version)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "HL7-HEADER"),
        (b"PID|1", "HL7-HEADER"),
        (b"hello MSH|^~\\&|", "HL7-HEADER"),
        (b"<xml/>", "HL7-HEADER"),
        (b"MSH", "HL7-SEPARATOR"),
        (b"MSH\r", "HL7-SEPARATOR"),
        (b"MSHA^~\\&A", "HL7-SEPARATOR"),
        (b"MSH ^~\\& ", "HL7-SEPARATOR"),
        (ADT + ADT, "HL7-SEVERAL"),
        (ADT + b" " + ADT, "HL7-SEVERAL"),
        (ADT + ADT.replace(b"\r", b"\n"), "HL7-SEVERAL"),
        (b"FHS|^~\\&|\r" + ADT, "HL7-BATCH"),
        (b"\xef\xbb\xbfBHS|^~\\&|\r" + ADT, "HL7-BATCH"),
        (ADT.replace(b"GEN", b"G\xe4N"), "CHARSET-DECODE"),
        (b"\xff\xfeM\x00S\x00H\x00|", "CHARSET-DECODE"),
    ],
)
def test_what_cannot_be_read_says_why(body: bytes, code: str) -> None:
    with pytest.raises(FormatError) as error:
        parse(body)
    assert error.value.info.code == code
    assert error.value.info.help


def test_nothing_clinical_shows() -> None:
    view = parse(ADT)
    assert "Doe" not in repr(view)
    assert "Doe" not in repr(view.segment("PID"))
