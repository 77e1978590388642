"""Dates and times of every format, both ways, with the precision they came in.

A time without a zone takes the channel's zone.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Final

from engine.mapping.failures import FunctionError
from engine.mapping.functions.moments import Moment, offset_at, read_moment, zone_named
from engine.mapping.functions.signature import Context, function

_COMMON: Final = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@function(
    examples=[
        ("date('19610615')", "1961-06-15"),
        ("date('2024')", "2024"),
        ("date('202401151230+0800')", "2024-01-15"),
        ("'2024年1月5日' | date", "2024-01-05"),
    ]
)
def date(text: str) -> str:
    """A FHIR date: the day, month or year as far as it is known; a time of day is left out."""
    if len(text) == 8 and text.isdecimal() and text.isascii():
        month, day = int(text[4:6]), int(text[6:])
        if 0 < month < 13 and 0 < day <= _COMMON[month] and text[:4] != "0000":
            return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return read_moment(text).day_text()


@function(
    examples=[
        ("datetime('20240115093000+0800')", "2024-01-15T09:30:00+08:00"),
        ("datetime('202401150930')", "2024-01-15T09:30:00Z"),
        ("datetime('202401')", "2024-01"),
    ]
)
def datetime(context: Context, text: str) -> str:
    """A FHIR dateTime: with a time of day it has seconds and a zone, without one it has none."""
    usual = _usual(context, text)
    if usual is not None:
        return usual
    moment = read_moment(text)
    return _full(moment, context.timezone) if moment.has_time else moment.day_text()


@function(
    examples=[
        ("instant('20240115093000.5+0800')", "2024-01-15T09:30:00.5+08:00"),
        ("instant('202401150930')", "2024-01-15T09:30:00Z"),
        ("instant('2024-01-15T09:30:00Z')", "2024-01-15T09:30:00Z"),
    ]
)
def instant(context: Context, text: str) -> str:
    """A FHIR instant: known at least to the minute."""
    usual = _usual(context, text)
    if usual is not None:
        return usual
    moment = read_moment(text)
    if len(moment.parts) < 5:
        raise FunctionError("an instant needs at least YYYYMMDDHHMM")
    return _full(moment, context.timezone)


_STAMP: Final = re.compile(
    r"(\d{4})(?=0[1-9]|1[0-2])(?!02(?:29|3)|(?:0[469]|11)31)(\d\d)(0[1-9]|[12]\d|3[01])"
    r"([01]\d|2[0-3])([0-5]\d)([0-5]\d)?"
    r"(?:([+-](?:0\d|1[0-3]))([0-5]\d))?",
    re.ASCII,
)


def _usual(context: Context, text: str) -> str | None:
    """The form nearly all HL7 v2 time stamps have, without a detour; None for every other."""
    return _stamp(text, context.timezone)


@lru_cache(maxsize=4096)
def _stamp(text: str, named: str) -> str | None:
    """Kept: the times of one message are few."""
    found = _STAMP.fullmatch(text)
    if found is None or text[:4] == "0000":
        return None
    year, month, day, hour, minute, second, zone, rest = found.groups()
    if zone is None:
        offset = (
            "Z"
            if named == "UTC"
            else offset_at(named, (int(year), int(month), int(day), int(hour), int(minute)))
        )
    else:
        offset = f"{zone}:{rest}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{offset}"


def _full(moment: Moment, zone: str) -> str:
    year, month, day, hour, minute, second = (*moment.parts, 0, 0)[:6]
    offset = moment.offset or offset_at(zone, (year, month, day, hour, minute))
    fraction = f".{moment.fraction}" if moment.fraction else ""
    return (
        f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{min(second, 59):02d}"
        f"{fraction}{offset}"
    )


@function(
    examples=[
        ("time('20240115093000')", "09:30:00"),
        ("time('0930')", "09:30:00"),
        ("time('09:30:15')", "09:30:15"),
    ]
)
def time(text: str) -> str | None:
    """A FHIR time: of an HL7 TM (HHMM[SS]), or the time of day of a date and time."""
    stripped = text.strip()
    short = _TIME.fullmatch(stripped)
    if short is not None:
        hour, minute, second = int(short[1]), int(short[2]), int(short[3] or 0)
        if hour > 23 or minute > 59 or second > 59:
            raise FunctionError("no such time of day")
        return f"{hour:02d}:{minute:02d}:{second:02d}"
    moment = read_moment(stripped)
    if not moment.has_time:
        return None
    hour, minute, second = (*moment.parts[3:], 0, 0)[:3]
    return f"{hour:02d}:{minute:02d}:{min(second, 59):02d}"


_TIME: Final = re.compile(r"(\d\d):?(\d\d)(?::?(\d\d))?(?:\.\d+)?(?:[+-]\d{4})?(?<!\d{8})")


@function(
    examples=[
        ("hl7_date('1961-06-15')", "19610615"),
        ("hl7_date('2024')", "2024"),
        ("hl7_date('2024-01-15T09:30:00+08:00')", "20240115"),
    ]
)
def hl7_date(text: str) -> str:
    """An HL7 v2 date (DT): YYYY[MM[DD]]."""
    return read_moment(text).day_text("")


@function(
    examples=[
        ("hl7_ts('2024-01-15T09:30:00+08:00')", "20240115093000+0800"),
        ("hl7_ts('2024-01-15')", "20240115"),
        ("hl7_ts('2024-01-15T09:30:00Z')", "20240115093000+0000"),
    ]
)
def hl7_ts(text: str) -> str:
    """An HL7 v2 time stamp (DTM) with the precision and zone it has."""
    moment = read_moment(text)
    if not moment.has_time:
        return moment.day_text("")
    clock = "".join(f"{part:02d}" for part in moment.parts[3:])
    fraction = f".{moment.fraction[:4]}" if moment.fraction and len(moment.parts) == 6 else ""
    offset = "" if moment.offset is None else moment.offset.replace(":", "").replace("Z", "+0000")
    return moment.day_text("") + clock + fraction + offset


@function(
    examples=[
        ("format_date('20240115', '%d.%m.%Y')", "15.01.2024"),
        ("format_date('202401150930', '%Y-%m-%d %H:%M')", "2024-01-15 09:30"),
        ("format_date('20240115', '%Y年%m月%d日')", "2024年01月15日"),
    ]
)
def format_date(text: str, pattern: str) -> str:
    """By a pattern of %Y %m %d %H %M %S; a part that is not known is an error."""
    moment = read_moment(text)

    def part(found: re.Match[str]) -> str:
        index = "YmdHMS".find(found[1])
        if found[1] == "%":
            return "%"
        if index < 0:
            raise FunctionError("a pattern knows %Y %m %d %H %M %S")
        if index >= len(moment.parts):
            raise FunctionError("the date is not that precise")
        return f"{moment.parts[index]:0{4 if index == 0 else 2}d}"

    return re.sub(r"%(.)", part, pattern)


@function(
    examples=[
        ("parse_date('15.01.2024', '%d.%m.%Y')", "2024-01-15"),
        ("parse_date('01/15/2024 09:30', '%m/%d/%Y %H:%M')", "2024-01-15T09:30"),
        ("parse_date('1/2024', '%m/%Y')", "2024-01"),
    ]
)
def parse_date(text: str, pattern: str) -> str:
    """A date written by a pattern of %Y %m %d %H %M %S, in ISO form for the other functions."""
    expression = ""
    names = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "%" and pattern[at + 1 : at + 2] in tuple("YmdHMS"):
            letter = pattern[at + 1]
            if letter in names:
                raise FunctionError("a part stands twice in the pattern")
            names.append(letter)
            expression += r"(\d{4})" if letter == "Y" else r"(\d{1,2})"
            at += 2
        else:
            expression += re.escape(pattern[at])
            at += 1
    found = re.fullmatch(expression, text.strip()[:200])
    if found is None:
        raise FunctionError("the date does not fit the pattern")
    given = {letter: int(value) for letter, value in zip(names, found.groups(), strict=True)}
    parts = []
    for letter in "YmdHMS":
        if letter not in given:
            break
        parts.append(given[letter])
    if not parts:
        raise FunctionError("the pattern has no %Y")
    iso = f"{parts[0]:04d}" + "".join(f"-{part:02d}" for part in parts[1:3])
    if len(parts) > 4:
        iso += "T" + ":".join(f"{part:02d}" for part in parts[3:])
    read_moment(iso)
    return iso


@function(
    examples=[
        ("in_zone('20240115013000+0000', 'Asia/Shanghai')", "2024-01-15T09:30:00+08:00"),
        ("in_zone('2024-07-01T12:00:00Z', 'Europe/Berlin')", "2024-07-01T14:00:00+02:00"),
        ("in_zone('20240115', 'Asia/Shanghai')", "2024-01-15"),
    ]
)
def in_zone(context: Context, text: str, zone: str) -> str:
    """The same moment on the clock of another zone; a day without a time stays as it is."""
    moment = read_moment(text)
    if not moment.has_time:
        return moment.day_text()
    local = moment.as_datetime(context.timezone).astimezone(zone_named(zone))
    offset = local.strftime("%z")
    fraction = f".{moment.fraction}" if moment.fraction else ""
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{offset[:3]}:{offset[3:5]}"


@function(
    examples=[
        ("add_days('20240228', 2)", "2024-03-01"),
        ("add_days('2024-01-01', -1)", "2023-12-31"),
        ("add_days('2024-01-15T09:30:00Z', 1)", "2024-01-16T09:30:00Z"),
    ]
)
def add_days(text: str, days: int) -> str:
    """So many days later; the day must be known."""
    moment = read_moment(text)
    if len(moment.parts) < 3 or abs(days) > 400_000:
        raise FunctionError("the day is not known")
    try:
        later = Moment(moment.parts[:3]).as_datetime("UTC") + timedelta(days=days)
    except OverflowError:
        raise FunctionError("no such day") from None
    shifted = Moment(
        (later.year, later.month, later.day, *moment.parts[3:]), moment.fraction, moment.offset
    )
    if not moment.has_time:
        return shifted.day_text()
    hours = (*moment.parts[3:], 0)[: max(2, len(moment.parts) - 3)]
    clock = ":".join(f"{part:02d}" for part in hours)
    fraction = f".{moment.fraction}" if moment.fraction else ""
    return f"{shifted.day_text()}T{clock}{fraction}{moment.offset or ''}"


@function(
    examples=[
        ("age('20000229', '20240228')", 23),
        ("age('20000229', '20240229')", 24),
        ("age('1961', '2024')", 63),
    ]
)
def age(context: Context, born: str, on: str | None = None) -> int:
    """Whole years from birth to a day (now, in the channel's zone, when none is given)."""
    if on is None:
        now = context.now.astimezone(zone_named(context.timezone))
        last: tuple[int, ...] = (now.year, now.month, now.day)
    else:
        last = read_moment(on).parts[:3]
    first = read_moment(born).parts[:3]
    known = min(len(first), len(last))
    years = last[0] - first[0] - (1 if last[1:known] < first[1:known] else 0)
    if years < 0:
        raise FunctionError("born later than the day asked for")
    return years
