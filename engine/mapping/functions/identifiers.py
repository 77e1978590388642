"""Identifiers: stable ids from business keys, check digits, the Chinese resident id."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import Any, Final

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function
from engine.mapping.values import text_of

# RFC 4122 version 5 under a namespace of our own, so that ids never meet another system's.
_NAMESPACE: Final = bytes.fromhex("8d3f4c1e6a2b5d70917c0e5b2f64a8d3")
_START: Final = hashlib.sha1(_NAMESPACE, usedforsecurity=False)
_RESIDENT: Final = re.compile(r"[1-9]\d{16}[0-9X]")
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"


_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@function(
    examples=[
        ("urn_uuid('Patient', 'HIS', '1') == urn_uuid('Patient', 'HIS', '1')", True),
        ("urn_uuid('Patient', 'a', 'b') == urn_uuid('Patient', 'ab')", False),
        ("urn_uuid(first([]))", None),
    ]
)
def urn_uuid(*keys: Any | None) -> str | None:
    """``urn:uuid:…`` that is always the same for the same keys; missing keys keep their place.

    Nothing when all keys after the first are missing: a resource type alone identifies nothing.
    """
    return _uuid(keys, "urn:uuid:")


@function(
    name="uuid5",
    examples=[
        ("uuid5('a', 'b') == uuid5('a', 'b')", True),
        ("uuid5('a') == uuid5('b')", False),
        ("length(uuid5('a', 'b'))", 36),
    ],
)
def uuid5(*keys: Any | None) -> str | None:
    """The uuid of `urn_uuid`, without ``urn:uuid:``."""
    return _uuid(keys, "")


def _texts(keys: tuple[Any, ...]) -> list[str]:
    try:
        return [key if key.__class__ is str else "" if not key else text_of(key) for key in keys]
    except ValueError as error:
        raise FunctionError(str(error)) from None


def _uuid(keys: tuple[Any, ...], prefix: str) -> str | None:
    """A version 5 UUID of the keys, which are kept apart: ('a', 'b') and ('ab') differ."""
    if not any(keys[1:] if len(keys) > 1 else keys):
        return None
    name = "\x1f".join(_texts(keys))
    digest = _START.copy()
    digest.update(name.encode("utf-8", "surrogatepass"))
    text = digest.hexdigest()
    variant = _VARIANT[text[16]]
    return f"{prefix}{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


@function(
    examples=[
        ("hash('abc') | left(8)", "ba7816bf"),
        ("hash('a', 'b') == hash('ab')", False),
        ("hash(first([]))", None),
    ]
)
def hash(*keys: Any | None) -> str | None:
    """SHA-256 of the values in hexadecimal; several are kept apart."""
    try:
        texts = ["" if not key else text_of(key) for key in keys]
    except ValueError as error:
        raise FunctionError(str(error)) from None
    if not any(texts):
        return None
    return hashlib.sha256("\x1f".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


@function(
    examples=[
        ("luhn('79927398713')", True),
        ("luhn('79927398710')", False),
        ("luhn('12a')", False),
    ]
)
def luhn(text: str | None) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1 (cards, NPI with its prefix)."""
    if text is None or not text.isdecimal() or not text.isascii() or len(text) < 2:
        return False
    total = 0
    for index, char in enumerate(reversed(text)):
        digit = int(char) * (1 + index % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


@function(
    examples=[
        ("cn_id_valid('11010519491231002X')", True),
        ("cn_id_valid('110105194912310021')", False),
        ("cn_id_valid('110105491231002')", True),
    ]
)
def cn_id_valid(text: str | None) -> bool:
    """Whether it is a Chinese resident id (GB 11643): 18 digits with a right check character, or
    the old form with 15; its birth date exists."""
    if text is None:
        return False
    found = _eighteen(text)
    if found is None:
        return False
    try:
        date(int(found[6:10]), int(found[10:12]), int(found[12:14]))
    except ValueError:
        return False
    return True


@function(
    examples=[
        ("cn_id_birth_date('11010519491231002X')", "1949-12-31"),
        ("cn_id_birth_date('110105491231002')", "1949-12-31"),
        ("cn_id_birth_date('12345')", None),
    ]
)
def cn_id_birth_date(text: str) -> str | None:
    """The birth date in a valid resident id; nothing for anything else."""
    found = _eighteen(text)
    if found is None or not cn_id_valid.call(text):
        return None
    return f"{found[6:10]}-{found[10:12]}-{found[12:14]}"


@function(
    examples=[
        ("cn_id_sex('11010519491231002X')", "female"),
        ("cn_id_sex('110105491231001')", "male"),
        ("cn_id_sex('12345')", None),
    ]
)
def cn_id_sex(text: str) -> str | None:
    """``male`` or ``female``, as a valid resident id says; nothing for anything else."""
    found = _eighteen(text)
    if found is None or not cn_id_valid.call(text):
        return None
    return "male" if int(found[16]) % 2 else "female"


@function(
    examples=[
        ("cn_id_upgrade('110105491231002')", "11010519491231002X"),
        ("cn_id_upgrade('11010519491231002x')", "11010519491231002X"),
        ("cn_id_upgrade('12345')", None),
    ]
)
def cn_id_upgrade(text: str) -> str | None:
    """The 18-character form of a resident id, its X in capitals; nothing for anything else."""
    return _eighteen(text)


def _eighteen(text: str) -> str | None:
    stripped = text.strip().upper()
    if len(stripped) == 15 and stripped.isdecimal() and stripped.isascii():
        longer = stripped[:6] + "19" + stripped[6:]
        return longer + _check_character(longer)
    if not stripped.isascii() or _RESIDENT.fullmatch(stripped) is None:
        return None
    return stripped if _check_character(stripped[:17]) == stripped[17] else None


def _check_character(digits: str) -> str:
    total = sum(int(d) * w for d, w in zip(digits, _WEIGHTS, strict=True))
    return _CHECKS[total % 11]


@function(
    examples=[
        ("urn_oid('1.2.840')", "urn:oid:1.2.840"),
        ("urn_oid('urn:oid:1.2')", "urn:oid:1.2"),
        ("urn_oid('HIS')", None),
    ]
)
def urn_oid(text: str) -> str | None:
    """``urn:oid:`` before an object identifier; nothing for anything else."""
    plain = text.strip().removeprefix("urn:oid:")
    return f"urn:oid:{plain}" if _OID.fullmatch(plain) else None


_OID: Final = re.compile(r"[0-2](\.(0|[1-9]\d{0,38})){1,60}")
