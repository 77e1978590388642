"""A date or time with the precision it was written in: ``2024`` never becomes ``2024-01-01``.

Reads HL7 v2 (``20240115093000.123+0800``), ISO 8601 and FHIR (``2024-01-15T09:30:00+08:00``),
``2024/1/15 9:30`` and ``2024年1月15日 9时30分``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.mapping.failures import FunctionError

_HL7: Final = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?"
    r"([+-]\d\d:?\d\d|Z)?",
    re.ASCII,
)
_ISO: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"\s?(Z|[+-]\d\d:?\d\d)?)?)?)?",
    re.ASCII,
)
_LOOSE: Final = re.compile(
    r"(\d{4})[/.年-](\d{1,2})(?:[/.月-](\d{1,2})日?)?月?"
    r"(?:[T ]?\s*(\d{1,2})[:时點点](\d{1,2})(?:[:分](\d{1,2})秒?(?:\.(\d{1,9}))?)?分?)?()",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """``parts`` holds year, month, day, hour, minute, second as far as they are known."""

    parts: tuple[int, ...]
    fraction: str = ""  # digits after the second's point
    offset: str | None = None  # "Z" or "+08:00"

    @property
    def has_time(self) -> bool:
        return len(self.parts) > 3

    def day_text(self, separator: str = "-") -> str:
        year, *rest = self.parts[:3]
        return separator.join([f"{year:04d}", *(f"{part:02d}" for part in rest)])

    def as_datetime(self, zone: str) -> datetime:
        """Aware, with unknown parts at their least.  Raises FunctionError."""
        filled = (*self.parts, *(1, 1, 0, 0, 0)[len(self.parts) - 1 :])
        year, month, day, hour, minute, second = filled
        micro = int((self.fraction + "000000")[:6]) if self.fraction else 0
        offset = self.offset or offset_at(zone, (*self.parts, 1, 1, 0, 0)[:5])
        return datetime(year, month, day, hour, minute, min(second, 59), micro, _tzinfo(offset))


def read_moment(text: str) -> Moment:
    """Raises FunctionError for anything that is no date."""
    text = text.strip()
    if len(text) > 40:
        raise FunctionError("not a date")
    found = _HL7.fullmatch(text) or _ISO.fullmatch(text) or _LOOSE.fullmatch(text)
    if found is None:
        raise FunctionError("not a date")
    parts = tuple(int(part) for part in found.groups()[:6] if part is not None)
    offset = found[8] or None
    if offset is not None and offset != "Z" and ":" not in offset:
        offset = f"{offset[:3]}:{offset[3:]}"
    _check(parts, offset)
    return Moment(parts, found[7] or "", offset)


def _check(parts: tuple[int, ...], offset: str | None) -> None:
    try:
        year, month, day = (*parts, 1, 1)[:3]
        date(year, month, day)
    except ValueError:
        raise FunctionError("no such day") from None
    hour, minute, second = (*parts[3:], 0, 0, 0)[:3]
    if hour > 23 or minute > 59 or second > 60:
        raise FunctionError("no such time of day")
    if offset not in (None, "Z") and (int(offset[1:3]) > 14 or int(offset[4:]) > 59):
        raise FunctionError("no such zone")


@lru_cache(maxsize=32)
def zone_named(name: str) -> ZoneInfo:
    """Raises FunctionError for an unknown zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FunctionError("the time zone is unknown") from None


@lru_cache(maxsize=4096)
def offset_at(zone: str, parts: tuple[int, ...]) -> str:
    """``+08:00`` for a wall-clock time in a zone; of an hour that comes twice, the first."""
    if zone == "UTC":
        return "Z"
    year, month, day, hour, minute = parts
    delta = (
        datetime(year, month, day, hour, minute, tzinfo=zone_named(zone)).utcoffset() or timedelta()
    )
    minutes = int(delta.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


@lru_cache(maxsize=256)
def _tzinfo(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
