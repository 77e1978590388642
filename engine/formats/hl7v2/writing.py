"""From a mapping's tree to an HL7 v2 message.

``{"MSH": {3: "HIS", 9: {1: "ORU", 2: "R01"}}, "PID": {3: [{1: "42"}]}, "OBX": [{…}, {…}]}``

* A key is a segment's name, or a group's when it is not three capital letters or digits; a group
  holds segments and groups, and is written in place.  A list repeats its segment or group.
* A segment holds field numbers (as numbers or as text), a field a value, a list of repetitions or
  components by number, a component a value or sub-components by number.
* Values are text, whole numbers, decimals, true and false (``Y`` and ``N``, HL7 table 0136),
  `NULL` (``""``).  None and empty text are left out, and so is what holds nothing, all the way up.
* `Written` text is a part of a message already, separators and escapes included.
* A segment of a parsed message may stand for a segment: it is copied.

Values are escaped, trailing separators are not written, segments end with CR.  MSH-1 and MSH-2 are
filled in.  MSH-18 always says in which character set the bytes are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from engine.contract import FormatError, Stage
from engine.formats.charsets import UTF_8, Charset, declared_charset, find_charset
from engine.formats.errors import format_error
from engine.formats.hl7v2.rest import Rest, put_back
from engine.formats.hl7v2.segment import Segment
from engine.formats.hl7v2.separators import Separators
from engine.formats.null import NULL_TEXT, Null

USUAL: Final = Separators()
REST: Final = "$rest"
"""The key of a tree whose value is a `Rest`."""


class Written(str):
    """Text that stands in a message already, with `USUAL` separators: it is written as it is."""

    __slots__ = ()


_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_HIGHEST: Final = (
    999  # field, component and sub-component numbers: a typing error is not a gigabyte
)


def write_tree(tree: Mapping[Any, Any], charset: str | None = None) -> tuple[bytes, Charset]:
    """The message and its character set.

    ``charset`` (the channel's) wins over the tree's MSH-18; without both it is UTF-8, which MSH-18
    then says as soon as there is a character that is not ASCII.

    Raises FormatError: HL7-TREE (with the place in the tree), CHARSET-ENCODE, CHARSET-UNKNOWN.
    """
    rest = tree.get(REST)
    segments = list(_segments({key: tree[key] for key in tree if key != REST}, ""))
    if not segments or segments[0][0] != "MSH":
        raise _misshapen("the first segment must be MSH", "")
    if any(name == "MSH" for name, _ in segments[1:]):
        raise _misshapen("there is a second MSH", "")
    if isinstance(rest, Rest):
        segments = put_back(segments, rest)
    header = segments[0][1]
    _fill(header, 1, "")
    _fill(header, 2, USUAL.encoding_characters)
    lines = ["|".join([name, *_trimmed(fields[1:])]) for name, fields in segments[1:]]
    chosen = _charset(charset, header[18] if len(header) > 18 else "")
    if chosen is None:
        chosen = UTF_8
        if not all(map(str.isascii, (*lines, *header))):
            _fill(header, 18, UTF_8.name)
    elif charset is not None or len(header) > 18:
        _fill(
            header,
            18,
            header[18] if len(header) > 18 and _same(header[18], chosen) else chosen.name,
        )
    text = "\r".join(["|".join(["MSH", *_trimmed(header[2:])]), *lines, ""])
    return chosen.encode(text), chosen


def _charset(setting: str | None, declared: str) -> Charset | None:
    if setting is None and not declared:
        return None
    charset = find_charset(setting) if setting is not None else declared_charset(declared)
    if charset is None:
        raise format_error("CHARSET-UNKNOWN", stage=Stage.MAPPING)
    return charset


def _same(declared: str, charset: Charset) -> bool:
    own = declared_charset(declared)
    return own is not None and own.codec == charset.codec


def _fill(fields: list[str], number: int, raw: str) -> None:
    fields.extend([""] * (number + 1 - len(fields)))
    fields[number] = raw


def _segments(tree: Any, place: str) -> Iterator[tuple[str, list[str]]]:
    if not isinstance(tree, Mapping):
        raise _misshapen("a message or group must hold segments", place)
    for key, value in tree.items():
        name = str(key)
        where = f"{place}.{name}" if place else name
        several = value if isinstance(value, list | tuple) else (value,)
        for one in several:
            if one is None:
                continue
            if _SEGMENT.fullmatch(name) is None:
                yield from _segments(one, where)
            elif isinstance(one, Segment):
                yield name, _copied(one)
            else:
                fields = _fields(name, one, where)
                if any(fields[1:]):
                    yield name, fields


def _copied(segment: Segment) -> list[str]:
    own = segment.separators
    if own.encoding_characters != USUAL.encoding_characters or own.field != USUAL.field:
        raise _misshapen("a segment with other separators cannot be copied", segment.name)
    return list(segment.fields)


def _fields(name: str, tree: Any, place: str) -> list[str]:
    if not isinstance(tree, Mapping):
        raise _misshapen("a segment must hold field numbers", place)
    fields = [name]
    for number, value in _numbered(tree, place):
        where = f"{place}-{number}"
        if isinstance(value, list | tuple):
            raw = "~".join(_trimmed([_components(one, where) for one in value]))
        else:
            raw = _components(value, where)
        if raw:
            _fill(fields, number, raw)
    return fields


def _components(value: Any, place: str) -> str:
    if not isinstance(value, Mapping):
        return _text(value, place)
    components: list[str] = []
    for number, component in _numbered(value, place):
        where = f"{place}.{number}"
        if isinstance(component, Mapping):
            subcomponents: list[str] = []
            for index, subcomponent in _numbered(component, where):
                _fill(subcomponents, index - 1, _text(subcomponent, f"{where}.{index}"))
            raw = "&".join(_trimmed(subcomponents))
        else:
            raw = _text(component, where)
        if raw:
            _fill(components, number - 1, raw)
    return "^".join(components)


def _numbered(tree: Mapping[Any, Any], place: str) -> Iterator[tuple[int, Any]]:
    for key, value in tree.items():
        number = int(key) if isinstance(key, int | str) and str(key).isdecimal() else 0
        if not 1 <= number <= _HIGHEST:
            raise _misshapen("a key that is not a number from 1 to 999", place)
        yield number, value


def _text(value: Any, place: str) -> str:
    if value is None:
        return ""
    if value.__class__ is Written:
        return str(value)
    if isinstance(value, str):
        return USUAL.escape(value)
    if isinstance(value, bool):
        return "Y" if value else "N"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal | float):
        number = value if isinstance(value, Decimal) else Decimal(repr(value))
        if number.is_finite() and abs(number.adjusted()) <= _HIGHEST:
            return f"{number:f}"
    if isinstance(value, Null):
        return NULL_TEXT
    raise _misshapen(f"a value of type {type(value).__name__} cannot be written", place)


def _trimmed(pieces: list[str]) -> list[str]:
    end = len(pieces)
    while end and not pieces[end - 1]:
        end -= 1
    return pieces[:end]


def _misshapen(what: str, place: str) -> FormatError:
    return format_error("HL7-TREE", f"{what}, at {place}" if place else what, stage=Stage.MAPPING)
