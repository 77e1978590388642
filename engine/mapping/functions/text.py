"""Text: trimming, cutting, joining, encoding."""

from __future__ import annotations

import base64 as b64
import binascii
import re
import unicodedata
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, unquote

from engine.formats.null import NULL
from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function
from engine.mapping.patterns import Pattern
from engine.mapping.runstate import MAX_TEXT
from engine.mapping.values import NotText, text_of


def bounded(text: str) -> str | None:
    """The text, or None when it is empty.  Raises FunctionError when it is too long."""
    if len(text) > MAX_TEXT:
        raise FunctionError("the text would be too long")
    return text or None


def texts_of(values: tuple[Any, ...] | list[Any]) -> list[str]:
    """The texts of values, missing ones left out.  Raises FunctionError for an object."""
    found: list[str] = []
    for value in values:
        if value.__class__ is str:
            found.append(value)
        elif isinstance(value, list):
            found += texts_of(value)
        elif value:
            try:
                found.append(text_of(value))
            except NotText as error:
                raise FunctionError(str(error)) from None
        elif value.__class__ in (int, bool, Decimal):
            found.append(text_of(value))
    return found


@function(examples=[("trim('  a b ')", "a b"), ("trim('a')", "a"), ("trim('   ')", None)])
def trim(text: str) -> str | None:
    """Without the spaces at both ends; nothing is left of blank text."""
    return text.strip() or None


@function(
    examples=[("squeeze(' a  b ')", "a b"), ("squeeze('a\\nb')", "a b"), ("squeeze(' ')", None)]
)
def squeeze(text: str) -> str | None:
    """Runs of white space as one space, and none at the ends: what FHIR wants of a code."""
    return " ".join(text.split()) or None


@function(
    examples=[
        ("url_encode('a|b c')", "a%7Cb%20c"),
        ("url_encode('患')", "%E6%82%A3"),
        ("url_encode('a-1')", "a-1"),
    ]
)
def url_encode(text: str) -> str | None:
    """Percent-encoded for one part of a URL (RFC 3986)."""
    return _RESERVED.sub(_percent, text) or None


@function(
    examples=[
        ("url_decode('a%7Cb%20c')", "a|b c"),
        ("url_decode('%E6%82%A3')", "患"),
        ("url_decode('a-1')", "a-1"),
    ]
)
def url_decode(text: str) -> str:
    """The text that `url_encode` wrote: percent signs with two digits are characters again."""
    return unquote(text)


_RESERVED: Final = re.compile(r"[^A-Za-z0-9_.~-]")
_PERCENT: Final = {chr(code): f"%{code:02X}" for code in range(128)}


def _percent(found: re.Match[str]) -> str:
    character = found[0]
    return _PERCENT.get(character) or quote(character, safe="")


@function(examples=[("upper('abc')", "ABC"), ("'Straße' | upper", "STRASSE"), ("upper('')", None)])
def upper(text: str) -> str | None:
    """In capitals."""
    return text.upper() or None


@function(examples=[("lower('ABC')", "abc"), ("'Ä' | lower", "ä"), ("lower('a1')", "a1")])
def lower(text: str) -> str | None:
    """In small letters."""
    return text.lower() or None


@function(
    examples=[
        ("replace('a-b-c', '-', '')", "abc"),
        ("replace('abc', 'x', 'y')", "abc"),
        ("'1,5' | replace(',', '.')", "1.5"),
    ]
)
def replace(text: str, old: str, new: str) -> str | None:
    """Every ``old`` replaced by ``new``; both are plain text."""
    if not old:
        raise FunctionError("what is to be replaced is empty")
    if len(text) + text.count(old) * max(0, len(new) - len(old)) > MAX_TEXT:
        raise FunctionError("the text would be too long")
    return text.replace(old, new) or None


@function(
    examples=[
        ("substring('abcdef', 2)", "bcdef"),
        ("substring('abcdef', 2, 3)", "bcd"),
        ("substring('abc', 9)", None),
    ]
)
def substring(text: str, start: int, length: int = 2**31) -> str | None:
    """From the ``start``-th character on (1 is the first), at most ``length`` of them."""
    if start < 1 or length < 0:
        raise FunctionError("characters count from 1")
    return text[start - 1 : start - 1 + length] or None


@function(
    examples=[
        ("left('abcdef', 2)", "ab"),
        ("left('ab', 5)", "ab"),
        ("left('ab', 0)", None),
    ]
)
def left(text: str, length: int) -> str | None:
    """The first ``length`` characters."""
    return text[: max(0, length)] or None


@function(
    examples=[
        ("right('abcdef', 2)", "ef"),
        ("right('ab', 5)", "ab"),
        ("right('ab', 0)", None),
    ]
)
def right(text: str, length: int) -> str | None:
    """The last ``length`` characters."""
    return text[-length:] if length > 0 else None


@function(
    examples=[
        ("pad('42', 5, '0')", "00042"),
        ("pad('42', 2, '0')", "42"),
        ("pad('7', 3)", "  7"),
    ]
)
def pad(text: str, width: int, fill: str = " ") -> str:
    """Filled on the left up to ``width`` characters."""
    return text.rjust(_width(width), _fill(fill))


@function(
    examples=[
        ("pad_right('42', 5, '.')", "42..."),
        ("pad_right('abc', 2)", "abc"),
        ("pad_right('a', 2)", "a "),
    ]
)
def pad_right(text: str, width: int, fill: str = " ") -> str:
    """Filled on the right up to ``width`` characters."""
    return text.ljust(_width(width), _fill(fill))


def _width(width: int) -> int:
    if width > 10_000:
        raise FunctionError("at most 10000 characters")
    return width


def _fill(fill: str) -> str:
    if len(fill) != 1:
        raise FunctionError("one character fills")
    return fill


@function(
    examples=[
        ("split('a^b', '^')", ["a", "b"]),
        ("split('a', '^')", ["a"]),
        ("split('a,,b', ',')", ["a", "b"]),
    ]
)
def split(text: str, separator: str) -> list[Any] | None:
    """The parts between separators, empty ones left out."""
    if not separator:
        raise FunctionError("the separator is empty")
    return [part for part in text.split(separator) if part.strip()] or None


@function(
    examples=[
        ("join(['a', 'b'], ', ')", "a, b"),
        ("join('a', ', ')", "a"),
        ("['a', 'b'] | join", "ab"),
    ]
)
def join(values: list[Any], separator: str = "") -> str | None:
    """The values as one text."""
    texts = texts_of(values)
    if sum(map(len, texts)) + len(texts) * len(separator) > MAX_TEXT:
        raise FunctionError("the text would be too long")
    return separator.join(texts) or None


@function(
    examples=[
        ("concat_all('a', 1)", "a1"),
        ("concat_all('a', first([]))", None),
        ("concat_all('urn:oid:', '1.2.3')", "urn:oid:1.2.3"),
    ]
)
def concat_all(*values: Any) -> str | None:
    """The values one after the other; nothing if any of them is missing."""
    return bounded("".join(texts_of(values)))


@function(
    examples=[
        ("matches('A01', 'A\\d\\d')", True),
        ("'B1' matches 'A\\d+'", False),
        ("matches('abc', 'b')", False),
    ]
)
def matches(text: str | None, pattern: Pattern) -> bool:
    """Whether the whole text fits the regular expression; missing text does not."""
    if text is None:
        return False
    return pattern.compiled.fullmatch(_within(text, pattern)) is not None


@function(
    examples=[
        ("extract('Ward 12', '\\d+')", "12"),
        ("extract('a=1', '(\\w)=(\\d)')", "a"),
        ("extract('abc', '\\d')", None),
    ]
)
def extract(text: str, pattern: Pattern) -> str | None:
    """The first part that fits the regular expression: its first group, or all of it."""
    found = pattern.compiled.search(_within(text, pattern))
    if found is None:
        return None
    return (found.group(1) if pattern.compiled.groups else found.group()) or None


def _within(text: str, pattern: Pattern) -> str:
    if len(text) > pattern.longest:
        raise FunctionError(f"this pattern meets at most {pattern.longest} characters")
    return text


@function(
    examples=[
        ("starts_with('PID-3', 'PID')", True),
        ("starts_with('a', 'b')", False),
        ("'abc' | starts_with('ab')", True),
    ]
)
def starts_with(text: str | None, prefix: str) -> bool:
    """Whether the text begins so."""
    return text is not None and text.startswith(prefix)


@function(
    examples=[
        ("ends_with('a.pdf', '.pdf')", True),
        ("ends_with('a', 'b')", False),
        ("'abc' | ends_with('bc')", True),
    ]
)
def ends_with(text: str | None, suffix: str) -> bool:
    """Whether the text ends so."""
    return text is not None and text.endswith(suffix)


@function(
    examples=[
        ("contains('abc', 'b')", True),
        ("contains('abc', 'x')", False),
        ("['a', 'b'] | contains('b')", True),
    ]
)
def contains(values: list[Any] | None, part: str) -> bool:
    """Whether a text holds the part, or a list a text equal to it."""
    if not values:
        return False
    return part in values if len(values) > 1 else part in text_of(values[0])


@function(
    examples=[
        ("length('abc')", 3),
        ("length('患者')", 2),
        ("length(1.5)", 3),
    ]
)
def length(text: str) -> int:
    """How many characters."""
    return len(text)


@function(
    examples=[
        ("truncate_bytes('患者', 5, 'gb18030')", "患者"),
        ("truncate_bytes('患者', 3, 'gb18030')", "患"),
        ("truncate_bytes('abc', 2)", "ab"),
    ]
)
def truncate_bytes(text: str, size: int, charset: str = "utf-8") -> str | None:
    """As many whole characters as fit into ``size`` bytes of a character set."""
    try:
        body = text.encode(charset)
        return body[: max(0, size)].decode(charset, "ignore") or None
    except (LookupError, UnicodeEncodeError):
        raise FunctionError("the character set does not hold this text") from None


@function(
    examples=[
        ("normalize_width('ＡＢＣ１２３')", "ABC123"),
        ("normalize_width('ｱ')", "ア"),
        ("normalize_width('abc')", "abc"),
    ]
)
def normalize_width(text: str) -> str | None:
    """Full-width letters and digits as ordinary ones, half-width kana as full ones (NFKC)."""
    return unicodedata.normalize("NFKC", text) or None


@function(
    examples=[
        ("base64('abc')", "YWJj"),
        ("base64('患')", "5oKj"),
        ("base64('')", None),
    ]
)
def base64(text: str) -> str | None:
    """The text's UTF-8 bytes in base64."""
    return b64.b64encode(text.encode()).decode() or None


@function(
    examples=[
        ("base64_text('YWJj')", "abc"),
        ("base64_text('YW\\nJj')", "abc"),
        ("base64_text('1NA=', 'gb18030')", "孕"),
    ]
)
def base64_text(text: str, charset: str = "utf-8") -> str | None:
    """The text that base64 holds; line breaks in it do not matter."""
    try:
        return b64.b64decode("".join(text.split()), validate=True).decode(charset) or None
    except (binascii.Error, UnicodeDecodeError, LookupError):
        raise FunctionError("not base64 of a text") from None


@function(
    examples=[
        ("is_null('a')", False),
        ("is_null(first([]))", False),
        ("[] | first | is_null", False),
    ]
)
def is_null(value: Any | None) -> bool:
    """Whether it is HL7's explicit null ``""``: the sender wants it deleted."""
    return value is NULL
