"""Durations, sizes and rates as people write them in YAML: ``200ms`` ``5s`` ``10m`` ``24h`` ``90d``
``3y``, ``16MiB``, ``500/s``.

Pure.  The annotated types (`Duration`, `Size`, `Rate`) are for pydantic settings models: they take
the text form, and show it in the JSON Schema.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d|y)$")
_SIZE = re.compile(r"^(\d+)(B|KiB|MiB|GiB)$")
_RATE = re.compile(r"^(\d+(?:\.\d+)?)/(s|m|h)$")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def parse_duration(value: Any) -> timedelta:
    """``90d`` → timedelta.  Raises ValueError; a bare number is refused, since it has no unit."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value))
    if match is None:
        raise ValueError("a duration is a number with a unit: 200ms, 5s, 10m, 24h, 90d, 3y")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def parse_size(value: Any) -> int:
    """``16MiB`` → bytes.  Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.match(str(value))
    if match is None:
        raise ValueError("a size is a whole number with a unit: 512B, 64KiB, 16MiB, 1GiB")
    return int(match[1]) * _BYTES[match[2]]


def parse_rate(value: Any) -> float:
    """``500/s`` → events a second.  Raises ValueError."""
    if isinstance(value, float):
        return value
    match = _RATE.match(str(value))
    if match is None:
        raise ValueError("a rate is a number per time: 500/s, 30/m, 100/h")
    return float(match[1]) / _SECONDS[match[2]]


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: ``10m``, ``1.5s``, ``0s``."""
    seconds = value.total_seconds()
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit in ("y", "d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern, "examples": ["5s", "10m"]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": _SIZE.pattern, "examples": ["16MiB"]}),
]
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    WithJsonSchema({"type": "string", "pattern": _RATE.pattern, "examples": ["500/s"]}),
]
