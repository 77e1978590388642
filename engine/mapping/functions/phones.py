"""Telephone numbers: the parts that HL7 v2's XTN keeps apart (2.5.1 ch. 2.A.89)."""

from __future__ import annotations

import re
from typing import Final

from engine.mapping.failures import FunctionError
from engine.mapping.functions.signature import function

_EXTENSION: Final = re.compile(r"\s*(?:ext\.?|x|#)\s*(\d{1,8})$", re.IGNORECASE)
# A country's code and the rest of it: +86 10 12345678, 0086-…; the area in brackets or by itself.
_ABROAD: Final = re.compile(
    r"(?:\+|00)\s*(\d{1,3})[\s.-]*(?:\((\d{1,5})\)|(\d{1,5})(?=[\s.-]))?(.+)"
)
# North America's plan: (410) 895 2894, 410-895-2894, 4108952894, with or without the 1.
_NORTH_AMERICA: Final = re.compile(r"(?:\+?1[\s.-]*)?\(?([2-9]\d\d)\)?[\s.-]*(\d{3})[\s.-]*(\d{4})")

# Eleven digits written together may be a Chinese mobile number as well: they show no parts.
_MOBILE: Final = re.compile(r"1[3-9]\d{9}")


@function(
    examples=[
        ("phone_part('(410) 895 2894', 'area')", "410"),
        ("phone_part('13800138000', 'area')", None),
        ("phone_part('+86 10 6552 9988', 'local')", "65529988"),
        ("phone_part('410-895-2894 x12', 'extension')", "12"),
        ("phone_part('ward', 'area')", None),
    ]
)
def phone_part(text: str, part: str) -> str | None:
    """A telephone number's `country`, `area`, `local` number or `extension`, in digits; nothing
    where the number does not show it.  Ten digits are read by the North American plan."""
    if part not in ("country", "area", "local", "extension"):
        raise FunctionError("a part is country, area, local or extension")
    number = text.strip()
    found = _EXTENSION.search(number)
    if part == "extension":
        return found[1] if found else None
    if found:
        number = number[: found.start()]
    parts = _parts(number)
    return parts.get(part) if parts else None


def _parts(number: str) -> dict[str, str] | None:
    if _MOBILE.fullmatch(number):
        return None
    found = _NORTH_AMERICA.fullmatch(number)
    if found:
        return {"country": "1", "area": found[1], "local": found[2] + found[3]}
    found = _ABROAD.fullmatch(number)
    if found is None:
        return None
    local = re.sub(r"[\s().-]", "", found[4])
    if not local.isdigit():
        return None
    parts = {"country": found[1], "local": local}
    if area := found[2] or found[3]:
        parts["area"] = area
    return parts
