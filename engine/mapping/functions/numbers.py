"""Numbers and booleans: from text, rounding."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function

_TRUE = frozenset({"true", "t", "y", "yes", "1", "on", "是"})
_FALSE = frozenset({"false", "f", "n", "no", "0", "off", "否"})


def _read(text: str) -> Decimal:
    if len(text) <= 60 and text.isascii() and text.replace(".", "", 1).isdigit():
        return Decimal(text)
    stripped = text.strip()
    # HL7 2.5.1 ch. 2.A.47 NM: an optional sign, digits, an optional point; nothing else.
    body = stripped[1:] if stripped[:1] in ("+", "-") else stripped
    if not body.isascii() or body.count(".") > 1 or len(body) > 60:
        raise FunctionError("not a number")
    if not body.replace(".", "").isdigit():
        mantissa, _, exponent = body.lower().partition("e")
        exponent = exponent.lstrip("+-")
        if not (mantissa.replace(".", "").isdigit() and exponent.isdigit() and len(exponent) < 4):
            raise FunctionError("not a number")
    return Decimal(stripped)


@function(
    examples=[
        ("number('7.40') == 7.4", True),
        ("'+12' | number", 12),
        ("number('  5 ')", 5),
    ]
)
def number(text: str) -> int | Decimal:
    """The number that the text spells, with all its digits."""
    found = _read(text)
    plain = "." not in text and "e" not in text.lower()
    return int(found) if plain else found


@function(
    examples=[
        ("number_or_none('>100')", None),
        ("number_or_none('1.5') == 1.5", True),
        ("number_or_none('abc') ?? 'x'", "x"),
    ]
)
def number_or_none(text: str) -> int | Decimal | None:
    """The number that the text spells, or nothing where it spells none."""
    try:
        found = _read(text)
    except FunctionError:
        return None
    plain = "." not in text and "e" not in text.lower()
    return int(found) if plain else found


@function(
    examples=[
        ("decimal('1.50') == 1.5", True),
        ("text(decimal('1.50'))", "1.50"),
        ("text(decimal(3))", "3"),
    ]
)
def decimal(text: str) -> Decimal:
    """The same as `number`, always with decimals' arithmetic."""
    return _read(text)


@function(
    examples=[
        ("integer('42')", 42),
        ("integer('-7')", -7),
        ("integer('8.0')", 8),
    ]
)
def integer(text: str) -> int:
    """The whole number that the text spells; a fraction other than zero is an error."""
    found = _read(text)
    if found != found.to_integral_value() or abs(found.adjusted()) > 60:
        raise FunctionError("not a whole number")
    return int(found)


@function(
    examples=[
        ("text(round(2.345, 2))", "2.35"),
        ("round('2.5')", 3),
        ("round(-2.5)", -3),
    ]
)
def round(value: Decimal, digits: int = 0) -> int | Decimal:
    """Rounded to so many decimals, halves away from zero as laboratories do."""
    return _rounded(value, digits, ROUND_HALF_UP)


@function(
    examples=[
        ("round_even(2.5)", 2),
        ("round_even(3.5)", 4),
        ("text(round_even(0.125, 2))", "0.12"),
    ]
)
def round_even(value: Decimal, digits: int = 0) -> int | Decimal:
    """Rounded to so many decimals, halves to the even digit as accountants do."""
    return _rounded(value, digits, ROUND_HALF_EVEN)


def _rounded(value: Decimal, digits: int, rule: str) -> int | Decimal:
    if not 0 <= digits <= 28:
        raise FunctionError("0 to 28 decimals")
    with localcontext(prec=100):
        if abs(value.adjusted()) > 60:
            raise FunctionError("the number is too large")
        found = value.quantize(Decimal(1).scaleb(-digits), rule)
    return found if digits else int(found)


@function(
    examples=[
        ("absolute(-3)", 3),
        ("text(absolute(-1.50))", "1.50"),
        ("absolute('4')", 4),
    ]
)
def absolute(value: Decimal) -> Decimal:
    """Without its sign."""
    return abs(value)


@function(
    examples=[
        ("boolean('Y')", True),
        ("boolean('0')", False),
        ("'否' | boolean", False),
    ]
)
def boolean(text: str) -> bool:
    """HL7's table 0136 and what systems send for it: Y, yes, true, T, 1, 是 and their opposites."""
    folded = text.strip().lower()
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise FunctionError("neither yes nor no")
