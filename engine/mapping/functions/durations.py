"""Durations: an amount and a unit, as HL7 v2 gives them in two fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from engine.mapping.failures import FunctionError
from engine.mapping.functions.moments import Moment, read_moment
from engine.mapping.functions.signature import function

# Seconds of a unit: UCUM, and the letters and words that senders write (HL7 2.5.1 ch. 2A.58).
_SECONDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 604_800),
}
_LONGEST: Final = 400_000 * 86_400


def _seconds(amount: Decimal, unit: str) -> Decimal:
    factor = _SECONDS.get(unit.strip().lower())
    if factor is None:
        raise FunctionError("not a unit of time")
    seconds = amount * factor
    if abs(seconds) > _LONGEST:
        raise FunctionError("the duration is too long")
    return seconds


@function(
    examples=[
        ("minutes(2, 'h')", 120),
        ("minutes('45')", 45),
        ("minutes(1, 'D')", 1440),
    ]
)
def minutes(amount: Decimal, unit: str = "min") -> int:
    """The whole minutes of an amount of seconds, minutes, hours, days or weeks."""
    return int(_seconds(amount, unit) // 60)


@function(
    examples=[
        ("add_duration('202401152350', 20)", "2024-01-16T00:10:00"),
        ("add_duration('20240115093000+0800', 2, 'H')", "2024-01-15T11:30:00+08:00"),
        ("add_duration('2024-01-15T09:30:00Z', -1, 'd')", "2024-01-14T09:30:00Z"),
    ]
)
def add_duration(text: str, amount: Decimal, unit: str = "min") -> str:
    """A time so much later, on the same clock; the time of day must be known."""
    moment = read_moment(text)
    if not moment.has_time:
        raise FunctionError("the time of day is not known")
    shift = timedelta(seconds=float(_seconds(amount, unit)))
    try:
        later = Moment(moment.parts).as_datetime("UTC") + shift
    except OverflowError:
        raise FunctionError("no such time") from None
    fraction = f".{moment.fraction}" if moment.fraction else ""
    return f"{later:%Y-%m-%dT%H:%M:%S}{fraction}{moment.offset or ''}"
