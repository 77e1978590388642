"""Content hashes: what a channel, route, mapping or project says, without comments and layout."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from engine.syntax import Mapping, Node, Scalar, Sequence


def content_version(*parts: Node | str) -> str:
    """16 hexadecimal digits.  References to secrets count as they are written."""
    tree = [part if isinstance(part, str) else _tree(part) for part in parts]
    return hashlib.sha256(orjson.dumps(tree)).hexdigest()[:16]


def _tree(node: Node) -> Any:
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return [_tree(item) for item in node.items]
        case Mapping():
            # As a list of pairs: a mapping's order can matter, and keys may hold anything.
            return {"": [[key.text, _tree(value)] for key, value in node.entries]}
