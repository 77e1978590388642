"""What may be written to a log: short plain values, and nothing that looks like content.

Everything a log line holds goes through `plain`.  It knows what is safe (numbers, times, paths,
short texts, error infos) and withholds the rest by its type's name, so that a message's body cannot
reach a log whoever passes it by mistake.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from engine.contract import EngineError, ErrorInfo

LONGEST: Final = 300
"""Characters of one text; a longer one is not written, not even its beginning."""

_MOST: Final = 20
_DEPTH: Final = 3
_FRAMES: Final = 30
_COLLECTIONS: Final = frozenset({dict, list, tuple, set, frozenset})  # not a record made of one

# A segment or a delimited record, an element, an object, a frame of HL7, anything on many lines.
_CONTENT = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]"
    r"|\b[A-Z][A-Z0-9]{2}\|"
    r"|\|[^|]*\|[^|]*\|"
    r"|[^\s^]\^"
    r"|<(?!withheld )/?[A-Za-z][^>]*>"
    r'|[{\[]\s*"'
    r'|"\s*:\s*["\d{\[]'
    r"|://[^/\s]*@"  # credentials in a URL
)

NEVER: Final = frozenset(
    {"attributes", "body", "content", "document", "keys", "order", "patient", "payload", "raw"}
    | {"reply", "text", "tree", "visit"}
)
"""Names under which content would be passed; whatever they hold is withheld."""

_TYPE = re.compile(r"[A-Z]{3}\^[A-Z][0-9A-Z]{2}(\^[A-Z]{3}_[A-Z][0-9A-Z]{2})?")  # ADT^A01^ADT_A01
_WITHHELD = "<withheld "


def plain(value: Any, depth: int = 0) -> Any:
    """The value itself when it may be written, a bounded copy of a collection of such values, or
    ``<withheld TYPE>``.  Never raises and never calls a ``repr`` or ``str`` of unknown types."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if value.bit_length() < 64 else f"{_WITHHELD}int>"
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return text(str(value))
    if isinstance(value, EngineError):
        return plain(value.info, depth)
    if isinstance(value, ErrorInfo):
        shown = {"code": value.code, "summary": value.summary, "stage": value.stage.value}
        if value.location:
            shown["location"] = value.location
        return {key: text(part) for key, part in shown.items()}
    if isinstance(value, BaseException):
        return summary(value)
    # A collection with one bad part is withheld whole: the other parts come from the same place.
    if depth < _DEPTH and type(value) in _COLLECTIONS and len(value) <= _MOST:
        if isinstance(value, Mapping):
            keys = [plain(key, _DEPTH) for key in value]
            parts = [plain(part, depth + 1) for part in value.values()]
            if not any(map(_withheld, keys + parts)):
                return dict(zip(map(str, keys), parts, strict=True))
        else:
            parts = [plain(part, depth + 1) for part in value]
            if not any(map(_withheld, parts)):
                return parts
    return f"{_WITHHELD}{type(value).__name__}>"


def text(value: str) -> str:
    """The text, unless it is too long or looks like a piece of a message."""
    if len(value) > LONGEST:
        return f"{_WITHHELD}text of {len(value)} characters>"
    if _CONTENT.search(value) and not _TYPE.fullmatch(value):
        return f"{_WITHHELD}content>"
    return value


def summary(error: BaseException) -> str:
    """One line about an exception.

    Our own errors and the operating system's hold no content; the text of any other exception may
    (``invalid literal for int() with base 10: …``), so that only its type is written.
    """
    name = type(error).__name__
    if isinstance(error, EngineError):
        return text(f"{name}: {error}")
    if isinstance(error, OSError) and error.strerror:
        return text(f"{name}: {error.strerror}")
    return name


def trace(error: BaseException) -> Sequence[str]:
    """Where an exception came from, outermost first: frames by file, line and function, without
    source lines and values; causes and the members of a group follow indented."""
    lines: list[str] = []
    _trace(error, "", lines, set())
    return lines


def _trace(error: BaseException, indent: str, lines: list[str], seen: set[int]) -> None:
    if id(error) in seen or len(seen) >= _MOST:
        return
    seen.add(id(error))
    lines.append(f"{indent}{summary(error)}")
    frames = traceback.extract_tb(error.__traceback__)
    lines += [
        f"{indent}  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-_FRAMES:]
    ]
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            _trace(member, indent + "  ", lines, seen)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        _trace(cause, indent + "  ", lines, seen)


def _withheld(judged: Any) -> bool:
    return isinstance(judged, str) and judged.startswith(_WITHHELD)
