"""Units of measure: UCUM codes (ucum.org), which FHIR's Quantity wants, and conversion."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function

if TYPE_CHECKING:
    from lark import Lark
    from ucumvert import PintUcumRegistry

_SPELLINGS: Final = {
    "mcg": "ug", "µg": "ug", "μg": "ug", "µL": "uL", "μL": "uL", "mcL": "uL", "µmol": "umol",
    "μmol": "umol", "cc": "mL", "ml": "mL", "dl": "dL", "l": "L", "ul": "uL", "fl": "fL",
    "gm": "g", "gms": "g", "grams": "g", "kgs": "kg", "lb": "[lb_av]", "lbs": "[lb_av]",
    "oz": "[oz_av]", "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "ft": "[ft_i]",
    "IU": "[IU]", "iu": "[IU]", "mIU": "m[IU]", "uIU": "u[IU]", "µIU": "u[IU]", "U": "U",
    "mEq": "meq", "mosm": "mosm", "mOsm": "mosm", "sec": "s", "secs": "s", "seconds": "s",
    "minute": "min", "minutes": "min", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "day": "d", "days": "d", "week": "wk", "weeks": "wk", "month": "mo", "months": "mo",
    "year": "a", "years": "a", "yr": "a", "yrs": "a", "°C": "Cel", "℃": "Cel", "C": "Cel",
    "degC": "Cel", "°F": "[degF]", "℉": "[degF]", "F": "[degF]", "degF": "[degF]",
    "mmHg": "mm[Hg]", "cmH2O": "cm[H2O]", "bpm": "/min", "breaths": "{breaths}",
    "beats": "{beats}", "percent": "%", "hpf": "[HPF]", "HPF": "[HPF]", "/hpf": "/[HPF]",
    "lpf": "[LPF]", "LPF": "[LPF]", "/lpf": "/[LPF]", "pH": "[pH]", "copies": "{copies}",
    "cells": "{cells}", "ratio": "{ratio}", "titer": "{titer}", "INR": "{INR}",
    "K": "10*3", "thou": "10*3", "Thousand": "10*3", "mil": "10*6", "Million": "10*6",
    "cumm": "mm3", "cmm": "mm3", "m²": "m2", "m^2": "m2", "sqm": "m2",
}  # fmt: skip
"""What laboratories write, and the UCUM code of the same unit; factor by factor."""

_POWER: Final = re.compile(r"(?:[x×*]\s*)?10\s*(?:\^|\*\*|\*|E|e)\s*(\d+)")
_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_DIGITS: Final = 12
"""Significant digits of a converted value: what binary arithmetic keeps for certain."""


@cache
def _parser() -> Lark:
    from ucumvert import get_ucum_parser

    parser: Lark = get_ucum_parser()
    return parser


@cache
def _registry() -> PintUcumRegistry:
    from ucumvert import PintUcumRegistry

    return PintUcumRegistry()


@lru_cache(maxsize=4096)
def _valid(code: str) -> bool:
    from lark.exceptions import LarkError

    if not code.isascii() or len(code) > 100:
        return False
    try:
        _parser().parse(code)
    except LarkError:
        return False
    return True


@function(
    examples=[
        ("ucum_valid('mg/dL')", True),
        ("ucum_valid('10*9/L')", True),
        ("ucum_valid('mcg')", False),
    ]
)
def ucum_valid(text: str) -> bool:
    """Whether the text is a unit in UCUM's case-sensitive form."""
    return _valid(text)


@function(
    examples=[
        ("ucum('mg/dL')", "mg/dL"),
        ("ucum('x10^9/L')", "10*9/L"),
        ("ucum('10³/uL')", "10*3/uL"),
        ("ucum('mcg/ml')", "ug/mL"),
        ("ucum('mmHg')", "mm[Hg]"),
        ("ucum('次/分')", None),
    ]
)
def ucum(text: str) -> str | None:
    """The UCUM code of a unit, however the laboratory spells it; nothing when it is unknown."""
    return _code(text.strip())


@lru_cache(maxsize=4096)
def _code(text: str) -> str | None:
    plain = re.sub(
        r"10([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda power: "10*" + power[1].translate(_SUPERSCRIPTS), text
    )
    plain = _POWER.sub(r"10*\1", plain)
    if plain in _SPELLINGS:
        return _SPELLINGS[plain]
    factors = re.split(r"([/.])", plain)
    spelled = "".join(_SPELLINGS.get(factor.strip(), factor.strip()) for factor in factors)
    for code in (spelled, plain):
        if _valid(code):
            return code
    return None


@function(
    examples=[
        ("convert_unit(5.5, 'g/L', 'mg/dL')", 550),
        ("convert_unit(98.6, '[degF]', 'Cel')", 37),
        ("convert_unit(6.2, '10*9/L', '10*3/uL') == 6.2", True),
        ("convert_unit(120, '[lb_av]', 'kg') == 54.4310844", True),
    ]
)
def convert_unit(value: Decimal, unit: str, wanted: str) -> Decimal:
    """The value in another UCUM unit of the same kind, with twelve significant digits.  Amounts
    of substance and mass are different kinds: mmol/L to mg/dL needs the molar mass."""
    from pint.errors import PintError

    if not (_valid(unit) and _valid(wanted)):
        raise FunctionError("no UCUM unit")
    registry = _registry()
    try:
        given, target = registry.from_ucum(unit), registry.from_ucum(wanted)
        amount = registry.Quantity(float(value) * given.magnitude, given.units)
        found = amount.to(target.units).magnitude / target.magnitude
    except (PintError, ArithmeticError):
        raise FunctionError("these units are not of one kind") from None
    with localcontext() as context:
        context.prec = _DIGITS
        rounded = (+Decimal(repr(float(found)))).normalize()
    return rounded if rounded.as_tuple().exponent <= 0 else rounded.quantize(Decimal(1))  # type: ignore[operator]
