"""Asking a node for what is wanted: text, a number, a boolean, a list, a mapping.

Each function returns None after it has written a diagnostic.  Numbers and booleans are those of
JSON; whether they are quoted does not matter, so that a secret or a variable may give one.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from engine.syntax.diagnostics import Diagnostics
from engine.syntax.nodes import Mapping, Node, Scalar, Sequence

INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?\Z")
BOOLEANS: Final = {"true": True, "false": False}
_MEANT: Final = {
    "yes": "true", "y": "true", "on": "true", "no": "false", "n": "false", "off": "false",
}  # fmt: skip


def text_of(node: Node, diagnostics: Diagnostics) -> str | None:
    """Exactly what is written: ``no`` gives ``no`` and ``1.10`` gives ``1.10``."""
    if isinstance(node, Scalar):
        return node.text
    diagnostics.at("Y204", node, f"a single text is wanted, not {described(node)}")
    return None


def boolean_of(node: Node, diagnostics: Diagnostics) -> bool | None:
    if isinstance(node, Scalar):
        value = BOOLEANS.get(node.text)
        if value is not None:
            return value
        meant = _MEANT.get(node.text.lower(), node.text.lower())
        help = f"write {meant}" if meant in BOOLEANS else "write true or false"
        diagnostics.at("Y201", node, "true or false is wanted", help=help)
    else:
        diagnostics.at("Y201", node, f"true or false is wanted, not {described(node)}")
    return None


def integer_of(node: Node, diagnostics: Diagnostics) -> int | None:
    if isinstance(node, Scalar) and INTEGER.match(node.text) and len(node.text) <= 30:
        return int(node.text)
    diagnostics.at("Y202", node, "a whole number is wanted", help="digits only, such as 2575")
    return None


def number_of(node: Node, diagnostics: Diagnostics) -> Decimal | None:
    """With the digits that were written."""
    if isinstance(node, Scalar) and NUMBER.match(node.text):
        return Decimal(node.text)
    diagnostics.at("Y203", node, "a number is wanted", help="such as 2 or 0.5")
    return None


def mapping_of(node: Node, diagnostics: Diagnostics) -> Mapping | None:
    if isinstance(node, Mapping):
        return node
    diagnostics.at(
        "Y205", node, f"a mapping is wanted, not {described(node)}", help="write 'key: value'"
    )
    return None


def sequence_of(node: Node, diagnostics: Diagnostics) -> Sequence | None:
    if isinstance(node, Sequence):
        return node
    diagnostics.at("Y206", node, f"a list is wanted, not {described(node)}", help="write '- value'")
    return None


def described(node: Node) -> str:
    """Never the text itself: it may be a secret."""
    match node:
        case Scalar():
            return "a text" if node.text else "nothing"
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"
