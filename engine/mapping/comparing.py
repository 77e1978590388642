"""Outputs and what is expected of them as lines of text, the same for the same content."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import orjson

from engine.contract import Payload
from engine.formats.json import read_json
from engine.formats.null import NULL
from engine.formats.xml import XML_FORMATS, xml_lines
from engine.mapping.compiled import CompiledMapping
from engine.mapping.values import text_of
from engine.syntax import Node, Scalar, Sequence

TEXT_FORMATS: Final = ("hl7v2", "astm", "delimited")
"""Those whose outputs are lines already."""


def lines_of(payload: Payload, format: str) -> list[str]:
    """Raises FormatError."""
    if format in TEXT_FORMATS:
        text = payload.body.decode(payload.charset or "utf-8", "replace")
        return [line for line in text.replace("\r\n", "\r").replace("\n", "\r").split("\r") if line]
    if format in XML_FORMATS:
        return xml_lines(payload)
    return _dump(read_json(payload.body))


def compared(
    wanted: Node, output: Payload, format: str, mapping: CompiledMapping
) -> tuple[list[str], list[str]]:
    """What a test case expects of an output of ``format``, written in the test file itself, and
    what came.

    Raises FormatError.
    """
    if format in TEXT_FORMATS and isinstance(wanted, Scalar):
        expected = [line.strip() for line in wanted.text.strip().splitlines()]
        return expected, [line.strip() for line in lines_of(output, format)]
    if format in XML_FORMATS:
        if isinstance(wanted, Scalar):
            expected = xml_lines(Payload(wanted.text.strip().encode()))
        else:
            expected = lines_of(mapping.written(_spelled_node(wanted)), format)
        return expected, lines_of(output, format)
    return _dump(_spelled_node(wanted)), _dump(spelled(read_json(output.body)))


def spelled(value: Any) -> Any:
    """Leaves as text, to compare with YAML, where all leaves are."""
    if isinstance(value, dict):
        return {str(key): spelled(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [spelled(inside) for inside in value]
    return "null" if value is None or value is NULL else text_of(value)


def _spelled_node(node: Node) -> Any:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [_spelled_node(item) for item in node.items]
    return {key.text: _spelled_node(value) for key, value in node.entries}


def _dump(value: Any) -> list[str]:
    """Indented JSON; decimals keep their digits."""
    body = orjson.dumps(value, default=_number, option=orjson.OPT_INDENT_2)
    return body.decode().splitlines()


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError
