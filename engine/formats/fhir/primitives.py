"""The values of FHIR's primitive types in JSON (R4 2.24.0.1, 2.6.2.1).

A check is given a value and says what is wrong with it, without repeating it, or None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Final

from engine.formats.fhir.definitions import Definitions

Check = Callable[[Any], str | None]

_RANGES: Final = {
    "integer": (-(2**31), 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
}
_BASE64: Final = re.compile(r"[0-9A-Za-z+/\s]*={0,2}\s*")
_SPACE: Final = re.compile(r"\s+")
_DAY: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_EXAMPLES: Final = {
    "date": "2026-01-31, 2026-01 or 2026",
    "dateTime": "2026-01-31T09:30:00+08:00, with a zone, or a date",
    "instant": "2026-01-31T09:30:00+08:00, with a zone",
    "time": "09:30:00",
    "id": "at most 64 letters, digits, '-' and '.'",
    "code": "without spaces at its ends or doubled inside",
    "uri": "without spaces",
    "url": "without spaces",
    "canonical": "without spaces",
    "oid": "urn:oid:1.2.3",
    "uuid": "urn:uuid: and a UUID in lower case",
}


@cache
def primitive_check(definitions: Definitions, name: str) -> Check:
    """The check of a primitive type.  Raises KeyError when it is none."""
    if name == "boolean":
        return _boolean
    if name == "decimal":
        return _decimal
    if name in _RANGES:
        return _integer(name, *_RANGES[name])
    if name == "base64Binary":
        return _base64
    if name == "xhtml":
        return _xhtml
    if name in ("string", "markdown"):
        return _string
    pattern = definitions.primitive(name)
    if pattern is None:
        raise KeyError(name)
    return _text(name, pattern)


def _boolean(value: Any) -> str | None:
    return None if value is True or value is False else "true or false is wanted"


def _decimal(value: Any) -> str | None:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return None
    return "a number is wanted"


def _integer(name: str, least: int, most: int) -> Check:
    wanted = {"positiveInt": "a whole number from 1", "unsignedInt": "a whole number from 0"}
    problem = f"{wanted.get(name, 'a whole number')} is wanted"

    def integer(value: Any) -> str | None:
        if value.__class__ is int and least <= value <= most:
            return None
        return problem

    return integer


def _string(value: Any) -> str | None:
    if value.__class__ is not str:
        return "a text is wanted"
    return None if value and not value.isspace() else "an empty text is not allowed"


def _base64(value: Any) -> str | None:
    if value.__class__ is not str:
        return "a text is wanted"
    if value and _BASE64.fullmatch(value) and len(_SPACE.sub("", value)) % 4 == 0:
        return None
    return "this is not base64"


def _xhtml(value: Any) -> str | None:
    if value.__class__ is not str:
        return "a text is wanted"
    return None if value.lstrip().startswith("<div") else "XHTML in a <div> is wanted"


def _text(name: str, pattern: re.Pattern[str]) -> Check:
    matches = pattern.fullmatch
    dated = name in ("date", "dateTime", "instant")
    example = _EXAMPLES.get(name)
    problem = f"this is no {name}" + (f": {example}" if example else "")

    def text(value: Any) -> str | None:
        if value.__class__ is not str:
            return "a text is wanted"
        if not value or matches(value) is None:
            return problem
        if dated:
            day = _DAY.match(value)
            if day is not None and not _exists(day):
                return "there is no such day"
        return None

    return text


def _exists(day: re.Match[str]) -> bool:
    try:
        date(int(day[1]), int(day[2]), int(day[3]))
    except ValueError:
        return False
    return True
