"""Delimiters from MSH, and escapes both ways."""

from __future__ import annotations

import pytest

from engine.contract import FormatError
from engine.formats.hl7v2 import Separators, parse

USUAL = Separators()


@pytest.mark.parametrize(
    ("header", "component", "repetition", "escape", "subcomponent", "truncation"),
    [
        (r"|^~\&|", "^", "~", "\\", "&", ""),
        (r"|^~\&#|", "^", "~", "\\", "&", "#"),
        (r"|^~\\&|", "^", "~", "\\", "&", ""),
        (r"|^~&|", "^", "~", "\\", "&", ""),
        (r"||", "^", "~", "\\", "&", ""),
        (r"|", "^", "~", "\\", "&", ""),
        (r"|^|", "^", "~", "\\", "&", ""),
        (r"|^~\|", "^", "~", "\\", "&", ""),
        (r"|~|", "~", "!", "\\", "&", ""),
        (r"|#!@%*|", "#", "!", "@", "%", "*"),
        (r"^|~\&^", "|", "~", "\\", "&", ""),
        (r"#^~\&#", "^", "~", "\\", "&", ""),
        (r"|HIS|", "^", "~", "\\", "&", ""),
        (r"|^~\&#@!$|", "^", "~", "\\", "&", ""),
    ],
)
def test_delimiters_come_from_the_header(
    header: str, component: str, repetition: str, escape: str, subcomponent: str, truncation: str
) -> None:
    separators = parse(f"MSH{header}".encode()).separators
    assert separators == Separators(
        header[0], component, repetition, escape, subcomponent, truncation
    )


def test_fields_are_split_with_the_senders_delimiters() -> None:
    view = parse(b"MSH*#!@%*A*B*C*D*2026**ORU#R01*1*P*2.5\rPID*1**1#2!3#4%5**@F@@S@@R@@T@@E@^~|&")
    assert view.get("PID-3[2].2.2") == "5"
    assert view.get("PID-5") == "*#!%@^~|&"
    view.set("PID-5", "*#!%@^~|&\\")
    assert view.to_bytes().endswith(b"@F@@S@@R@@T@@E@^~|&\\")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a|b", "a\\F\\b"),
        ("a^b", "a\\S\\b"),
        ("a&b", "a\\T\\b"),
        ("a~b", "a\\R\\b"),
        ("a\\b", "a\\E\\b"),
        ("\\F\\", "\\E\\F\\E\\"),
        ("a\rb", "a\\X0D\\b"),
        ("a\nb", "a\\.br\\b"),
        ("a\r\nb", "a\\X0D\\\\.br\\b"),
        ("a\tb", "a\\X09\\b"),
        ("\x0b\x1c\x7f\x00", "\\X0B\\\\X1C\\\\X7F\\\\X00\\"),
        ("珅 ^", "珅 \\S\\"),
        ("#", "#"),
    ],
)
def test_escapes_both_ways(text: str, escaped: str) -> None:
    assert USUAL.escape(text) == escaped
    assert USUAL.unescape(escaped) == text


def test_the_truncation_mark_is_escaped_where_it_is_declared() -> None:
    separators = Separators(truncation="#")
    assert separators.escape("1#") == "1\\P\\"
    assert separators.unescape("1\\P\\") == "1#"


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("\\X48656C6C6F\\", "Hello"),
        ("\\XC3A4\\", "ä"),
        ("\\xc3a4\\", "\\xc3a4\\"),
        ("\\XFF\\", "\\XFF\\"),
        ("\\X4\\", "\\X4\\"),
        ("\\X\\", "\\X\\"),
        ("\\H\\loud\\N\\ quiet", "loud quiet"),
        ("a\\.br\\b\\.BR\\c", "a\nb\nc"),
        ("a\\.sp\\b\\.sp2\\c\\.sp+3\\d", "a\nb\n\nc\n\n\nd"),
        ("a\\.sk3\\b", "a   b"),
        ("\\.in+4\\a\\.ti-2\\b\\.fi\\c\\.nf\\d\\.ce\\e", "abcd\ne"),
        ("\\.sp999999999\\", "\n" * 100),
        ("\\Zown\\", "\\Zown\\"),
        ("\\.xx\\", "\\.xx\\"),
        ("C:\\temp\\T\\x", "C:\\temp&x"),
        ("one \\ two", "one \\ two"),
        ("\\", "\\"),
        ("\\\\", "\\\\"),
        ("\\E\\E\\E\\", "\\E\\"),
    ],
)
def test_every_escape_of_the_standard_is_read_and_others_stay(escaped: str, text: str) -> None:
    assert USUAL.unescape(escaped) == text


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        ("\\M2442\\0l\\C2842\\ABC", "一ABC"),
        ("\\M2442\\;3ED\\C2842\\^", "山田^"),
        ("\\M2442\\;3ED\\C284A\\ x", "山田 x"),
        ("\\C2D41\\\u00e4\\C2842\\a", "äa"),
        ("\\C2D46\\\u00e1", "α"),
        ("\\C2849\\13", "ｱｳ"),
        ("\\M242843\\0!", "가"),
        ("\\M2442\\漢", "\\M2442\\漢"),
        ("\\C9999\\a", "\\C9999\\a"),
        ("\\C2842\\plain\\T\\", "plain&"),
    ],
)
def test_character_set_switches_are_followed(escaped: str, text: str) -> None:
    assert Separators(codec="iso8859_1").unescape(escaped) == text


def test_hexadecimal_bytes_are_in_the_character_set_of_the_message() -> None:
    view = parse(b"MSH|^~\\&|||||||ADT^A01|1|P|2.5||||||GBK\rNTE|1||\\XD6D0CEC4\\\\X0D\\")
    assert view.get("NTE-3") == "中文\r"


@pytest.mark.parametrize("mark", [" ", "A", "1", "\t", "\u00a7"])
def test_a_letter_or_space_is_no_field_separator(mark: str) -> None:
    with pytest.raises(FormatError) as error:
        parse(f"MSH{mark}^~\\&{mark}A".encode())
    assert error.value.info.code == "HL7-SEPARATOR"
