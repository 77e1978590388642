"""JSON whose numbers keep their digits: 1.50 is read as ``Decimal('1.50')`` and written as 1.50.

Reading uses the standard library's parser with its hooks, since no faster one tells a repeated key
or hands over a number's digits; searching the text for decimals first costs more than it saves.
Writing uses orjson.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NoReturn

import orjson

from engine.contract import Document, Payload, Stage
from engine.formats.charsets import UTF_8, find_charset
from engine.formats.errors import format_error
from engine.formats.null import Null


@dataclass(frozen=True, slots=True)
class JsonDocument:
    """``value`` is plain: dict, list, str, int, Decimal, bool, None.  Nobody changes it."""

    value: Any = field(repr=False)

    @property
    def format(self) -> str:
        return "json"


class JsonFormat:
    """JSON has no routing type and no control id of its own; routes look into it with ``when:``."""

    name: Final = "json"

    def parse(self, payload: Payload, *, charset: str | None = None) -> JsonDocument:
        return JsonDocument(read_json(payload.body, payload.charset or charset))

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        value = tree.value if isinstance(tree, JsonDocument) else tree
        return write_json(value, "application/json", charset)

    def key(self, document: Document) -> str:
        return ""

    def control_id(self, document: Document) -> str:
        return ""


def read_json(body: bytes, charset: str | None = None) -> Any:
    """The value of a whole JSON text.

    UTF-8, UTF-16 and UTF-32 are recognised by their first bytes (RFC 8259 wants UTF-8); ``charset``
    counts when it names another set.  Raises FormatError: JSON-SYNTAX, JSON-DUPLICATE, JSON-DEPTH,
    CHARSET-DECODE or CHARSET-UNKNOWN; nothing else, for any bytes.
    """
    try:
        value = json.loads(
            _text(body, charset),
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_object,
        )
        # Deeper than orjson writes (254 levels), or half a surrogate pair: refused here, not at
        # the end of a mapping.
        orjson.dumps(value, default=_plain)
    except json.JSONDecodeError as error:
        raise format_error(
            "JSON-SYNTAX", f"not JSON at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise format_error("JSON-DEPTH") from None
    except TypeError as error:
        raise format_error("JSON-DEPTH" if "ecursion" in str(error) else "JSON-SYNTAX") from None
    return value


def write_json(value: Any, content_type: str, charset: str | None = None) -> Payload:
    """Compact JSON in UTF-8, or in ``charset``.  HL7's explicit null is written as null.

    Raises FormatError: JSON-TREE, CHARSET-UNKNOWN, CHARSET-ENCODE.
    """
    try:
        try:
            body = orjson.dumps(value, default=_plain)
        except TypeError:
            body = orjson.dumps(_widened(value, 0), default=_plain)
    except TypeError:
        # orjson's text may quote the value, so it goes no further.
        raise format_error("JSON-TREE", stage=Stage.MAPPING) from None
    if charset is None:
        return Payload(body, content_type, "utf-8")
    wanted = find_charset(charset)
    if wanted is None:
        raise format_error("CHARSET-UNKNOWN", stage=Stage.MAPPING)
    if wanted is not UTF_8:
        body = wanted.encode(body.decode())
    return Payload(body, content_type, wanted.codec)


def _text(body: bytes, charset: str | None) -> str:
    if charset is not None:
        named = find_charset(charset)
        if named is None:
            raise format_error("CHARSET-UNKNOWN")
        if not named.codec.startswith("utf-"):
            return named.decode(body)
    try:
        return body.decode(json.detect_encoding(body))
    except UnicodeDecodeError:
        raise format_error("CHARSET-DECODE", "a byte of the payload does not fit UTF-8") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise format_error("JSON-DUPLICATE")
    return value


def _decimal(digits: str) -> Decimal:
    if len(digits) > 1000:
        raise format_error("JSON-SYNTAX", "a number has more than 1000 digits")
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise format_error("JSON-SYNTAX", "a number's exponent is out of range") from None


def _integer(digits: str) -> int | Decimal:
    """An integer beyond 64 bits is a Decimal, which is written with all its digits."""
    return int(digits) if len(digits) < 19 else _decimal(digits)


def _no_constant(name: str) -> NoReturn:
    raise format_error("JSON-SYNTAX", "NaN and Infinity are not JSON")


def _widened(value: Any, depth: int) -> Any:
    """Integers beyond 64 bits, which orjson refuses, as Decimals."""
    if depth > 254:  # orjson's own limit
        raise TypeError
    if isinstance(value, dict):
        return {key: _widened(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_widened(one, depth + 1) for one in value]
    if isinstance(value, int) and value.bit_length() > 63:
        return Decimal(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        if value.is_finite():
            return orjson.Fragment(str(value))
    elif isinstance(value, Null):
        return None
    raise TypeError
