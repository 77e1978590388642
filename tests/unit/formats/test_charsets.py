"""Every character set of HL7 table 0211, read before anything is split."""

from __future__ import annotations

import pytest

from engine.contract import FormatError, Payload
from engine.formats import FORMATS
from engine.formats.charsets import declared_charset, find_charset
from engine.formats.hl7v2 import parse

# MSH-18, Python's codec for the bytes on the wire, a text that needs the set.
TABLE_0211 = [
    ("ASCII", "ascii", "Mueller"),
    ("8859/1", "iso8859_1", "Müller"),
    ("8859/2", "iso8859_2", "Łukasz"),
    ("8859/3", "iso8859_3", "Ĉu"),
    ("8859/4", "iso8859_4", "Ģirts"),
    ("8859/5", "iso8859_5", "Иванов"),
    ("8859/6", "iso8859_6", "محمد"),
    ("8859/7", "iso8859_7", "Γιώργος"),
    ("8859/8", "iso8859_8", "שלום"),
    ("8859/9", "iso8859_9", "Işık"),
    ("8859/15", "iso8859_15", "Œuvre €"),
    ("ISO IR6", "ascii", "Mueller"),
    ("ISO IR14", "iso2022_jp_ext", "ﾔﾏﾀﾞ"),
    ("ISO IR87", "iso2022_jp_ext", "山田"),
    ("ISO IR159", "iso2022_jp_ext", "丂"),
    ("GB 18030-2000", "gb18030", "珅𠀀"),
    ("KS X 1001", "euc_kr", "김희중"),
    ("BIG-5", "big5", "功許蓋"),
    ("CNS 11643-1992", "euc_tw", "一功許蓋乂籲"),
    ("UNICODE", "utf-8", "珅 Müller"),
    ("UNICODE UTF-8", "utf-8", "珅 Müller"),
    ("UNICODE UTF-16", "utf-16", "珅 Müller"),
    ("UNICODE UTF-32", "utf-32", "珅 Müller"),
]
SEEN = [
    ("UTF-8", "utf-8", "珅"),
    ("UTF8", "utf-8", "珅"),
    ("utf-8", "utf-8", "珅"),
    ("UNICODE_UTF-8", "utf-8", "珅"),
    ("UTF-8~UNICODE", "utf-8", "珅"),
    ("GBK", "gbk", "珅"),
    ("GB2312", "gbk", "中文"),
    ("GB18030", "gb18030", "珅𠀀"),
    ("CP936", "gbk", "珅"),
    ("WINDOWS-1252", "cp1252", "“Œ”"),
    ("~ISO IR87", "iso2022_jp_ext", "山田"),
    ("ISO IR6~ISO IR87~ISO IR159", "iso2022_jp_ext", "山田丂"),
    ("ISO IR14~ISO IR87", "iso2022_jp_ext", "ﾔﾏﾀﾞ山田"),
    ("ISO IR87", "cp932", "山田表"),
    ("SHIFT_JIS", "cp932", "山田表"),
    ("KS X 1001", "cp949", "햏"),
    ("ISO-8859-1", "iso8859_1", "Müller"),
    ("ISO IR100", "iso8859_1", "Müller"),
    ("WINDOWS-1251", "cp1251", "Иванов"),
    ("ASCII", "utf-8", "珅"),
    ("NONSENSE", "utf-8", "珅"),
    ("", "utf-8", "珅"),
]


def body(declared: str, codec: str, text: str) -> bytes:
    lines = (
        rf"MSH|^~\&|HIS|GEN|BUS|HUB|2026||ADT^A01|1|P|2.5||||||{declared}",
        f"PID|1||7||{text}^{text}||1961",
        "",
    )
    return "\r".join(lines).encode(codec)


@pytest.mark.parametrize(("declared", "codec", "text"), TABLE_0211 + SEEN)
def test_a_declared_set_is_read_edited_and_written(declared: str, codec: str, text: str) -> None:
    wire = body(declared, codec, text)
    view = parse(wire)
    assert view.get("PID-5.1") == text
    assert view.get("PID-5.2") == text
    assert view.get("PID-7") == "1961"
    assert view.to_bytes() == wire
    view.set("PID-5.2", text[::-1])
    again = parse(view.to_bytes())
    assert again.get("PID-5.1") == text
    assert again.get("PID-5.2") == text[::-1]


@pytest.mark.parametrize("declared", [row[0] for row in TABLE_0211])
def test_a_written_message_says_what_it_is_written_in(declared: str) -> None:
    text = next(row[2] for row in TABLE_0211 if row[0] == declared)
    tree = {"MSH": {9: {1: "ADT", 2: "A01"}, 18: declared}, "PID": {5: {1: text}}}
    payload = FORMATS["hl7v2"].write(tree)
    view = parse(payload.body)
    assert view.get("PID-5.1") == text
    assert view.get("MSH-18") == declared
    assert payload.body.decode(payload.charset or "").startswith("MSH|")
    assert FORMATS["hl7v2"].write(tree, charset=declared).body == payload.body


@pytest.mark.parametrize("codec", ["gbk", "gb18030", "big5", "cp932"])
def test_trail_bytes_that_look_like_delimiters_do_not_split(codec: str) -> None:
    """In these sets | ^ \\ ~ are also second bytes: every such character must survive."""
    leads = range(0x81, 0xFF)
    characters = []
    for lead in leads:
        for trail in b"|^\\~&":
            try:
                decoded = bytes((lead, trail)).decode(codec)
            except UnicodeDecodeError:
                continue
            if len(decoded) == 1:
                characters.append(decoded)
    assert len(characters) > 100
    text = "".join(characters)
    declared = {"gb18030": "GB 18030-2000", "big5": "BIG-5", "cp932": "SHIFT_JIS"}.get(codec, "GBK")
    wire = body(declared, codec, text)
    view = parse(wire)
    assert view.get("PID-5.1") == text
    assert view.get("PID-7") == "1961"


@pytest.mark.parametrize(
    ("declared", "codec", "name"),
    [
        ("GBK", "gbk", "和珅"),
        ("GB 18030-2000", "gb18030", "和珅"),
        ("BIG-5", "big5", "育"),
        ("SHIFT_JIS", "cp932", "ポ"),
        ("ISO IR87", "cp932", "ポ"),
    ],
)
def test_a_separator_hidden_in_the_header_does_not_move_msh_18(
    declared: str, codec: str, name: str
) -> None:
    assert b"|" in name.encode(codec)
    header = rf"MSH|^~\&|HIS|{name}|BUS|HUB|2026||ADT^A01|1|P|2.5||||||{declared}"
    view = parse(header.encode(codec) + b"\rPID|1")
    assert view.get("MSH-4") == name
    assert view.get("MSH-18") == declared


def test_the_channels_charset_is_used_where_none_is_declared() -> None:
    wire = body("", "gb18030", "珅")
    assert parse(wire, "gb18030").get("PID-5.1") == "珅"
    assert parse(body("ASCII", "gb18030", "珅"), "gb18030").get("PID-5.1") == "珅"
    assert parse(body("UTF-8", "utf-8", "珅"), "gb18030").get("PID-5.1") == "珅"
    payload = Payload(wire, charset="gb18030")
    document = FORMATS["hl7v2"].parse(payload, charset="latin-1")
    assert FORMATS["hl7v2"].write(document) == Payload(wire, "application/hl7-v2", "gb18030")


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [("UTF-8", "gb18030", "珅"), ("", "latin-1", "Müller"), ("CNS 11643-1992", "big5", "功許蓋")],
)
def test_bytes_that_do_not_fit_are_refused_without_showing_them(
    declared: str, codec: str, text: str
) -> None:
    with pytest.raises(FormatError) as error:
        parse(body(declared, codec, text))
    assert error.value.info.code == "CHARSET-DECODE"
    assert text not in str(error.value)


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(FormatError) as error:
        parse(body("", "ascii", "x"), "klingon")
    assert error.value.info.code == "CHARSET-UNKNOWN"
    with pytest.raises(FormatError):
        FORMATS["hl7v2"].write({"MSH": {9: "ACK", 18: "KLINGON"}})


@pytest.mark.parametrize(
    ("charset", "text"),
    [("8859/1", "珅"), ("ASCII", "ä"), ("GBK", "𠀀"), ("BIG-5", "한"), ("utf-8", "\ud800")],
)
def test_a_character_that_does_not_exist_is_an_error_without_the_character(
    charset: str, text: str
) -> None:
    with pytest.raises(FormatError) as error:
        FORMATS["hl7v2"].write({"MSH": {9: "ACK"}, "PID": {5: text}}, charset=charset)
    assert error.value.info.code == "CHARSET-ENCODE"
    assert text not in str(error.value)
    assert error.value.__cause__ is None


def test_gbk_has_its_user_defined_characters() -> None:
    rare = "\ue000\ue4c6"
    view = parse(body("GBK", "gb18030", rare))
    view.set("PID-7", rare)
    assert view.to_bytes().decode("gb18030").count(rare) == 3


def test_a_message_is_recoded_and_says_so() -> None:
    document = FORMATS["hl7v2"].parse(Payload(body("GBK", "gbk", "珅")))
    payload = FORMATS["hl7v2"].write(document, charset="utf-8")
    assert payload.body == body("UNICODE UTF-8", "utf-8", "珅")
    assert payload.charset == "utf-8"
    assert FORMATS["hl7v2"].write(document).body == body("GBK", "gbk", "珅")
    assert FORMATS["hl7v2"].write(document, charset="gbk").body == body("GBK", "gbk", "珅")


def test_names_are_found_in_every_spelling() -> None:
    for name in ("utf-8", "UTF8", "unicode utf-8", "Unicode_UTF-8"):
        assert find_charset(name) is find_charset("UNICODE UTF-8")
    assert find_charset("") is None
    assert declared_charset("") is None
    assert declared_charset("~~~") is None


@pytest.mark.parametrize(
    "name", ["GBK", "BIG-5", "CNS 11643-1992", "KS X 1001", "ISO IR87", "GB 18030-2000"]
)
def test_every_character_that_is_written_is_read_as_itself(name: str) -> None:
    """These sets have more than one codec, and what one writes another must not misread."""
    charset = find_charset(name)
    assert charset is not None
    written = 0
    for code in (*range(0x20, 0xD800), *range(0xE000, 0x10000)):
        try:
            body = charset.encode(chr(code))
        except FormatError:
            continue
        assert charset.decode(body) == chr(code), hex(code)
        written += 1
    assert written > 8000


def test_euc_tw_is_the_one_that_iconv_writes() -> None:
    wire = b"\xc4\xa1\xc5\xfc\xdd\xc2\xea\xe4\xa1\xa2\x8e\xa2\xa1\xa1\xfd\xcb ok"
    assert "一功許蓋，乂籲 ok".encode("euc_tw") == wire
    assert wire.decode("euc_tw") == "一功許蓋，乂籲 ok"
    assert b"\x8e\xa1\xc4\xa1".decode("euc_tw") == "一"
    for wrong in (b"\xc4", b"a\xc4\xa1\x80", b"\x8e\xa3\xc4\xa1", b"\xff\xff"):
        with pytest.raises(UnicodeDecodeError):
            wrong.decode("euc_tw")
