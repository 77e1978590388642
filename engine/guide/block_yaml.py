"""A tree of texts as block YAML, in the style of hand-written mappings."""

from __future__ import annotations

import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z0-9=$(/.][^\n]*")
_TRAPS = re.compile(r": |:$| #|^(?:true|false|null|yes|no|on|off|~)$|^[\d.+-]+$|^==|\s$", re.I)
_WIDTH = 96


def block_yaml(tree: dict[str, Any]) -> str:
    """The tree as YAML; keys and scalars are text, small objects of scalars stay on one line."""
    lines: list[str] = []
    for key, value in tree.items():
        if lines and key in ("let", "out", "maps"):
            lines.append("")
        _pair(key, value, 0, lines)
    return "\n".join(lines) + "\n"


def scalar(value: object) -> str:
    """A scalar as it stands in block context, quoted where YAML would take a part of it."""
    text = str(value)
    if _PLAIN.fullmatch(text) and not _TRAPS.search(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _flow(value: Any) -> str | None:
    """The value on one line, or None when it does not fit or would need quotes."""
    if isinstance(value, dict):
        inner = [(scalar(k), _flow(v)) for k, v in value.items()]
        if any(v is None for _, v in inner):
            return None
        return "{" + ", ".join(f"{k}: {v}" for k, v in inner) + "}"
    if isinstance(value, list):
        items = [_flow(item) for item in value]
        return None if None in items else "[" + ", ".join(str(item) for item in items) + "]"
    text = scalar(value)
    return None if re.search(r"[\[\]{},]", text) or text.startswith("'") else text


def _pair(key: str, value: Any, indent: int, lines: list[str]) -> None:
    space = " " * indent
    if not isinstance(value, dict | list):
        lines.append(f"{space}{scalar(key)}: {scalar(value)}")
        return
    flow = _flow(value) if _small(value) else None
    if flow is not None and indent + len(key) + len(flow) + 2 <= _WIDTH:
        lines.append(f"{space}{scalar(key)}: {flow}")
        return
    lines.append(f"{space}{scalar(key)}:")
    if isinstance(value, dict):
        for inner, item in value.items():
            _pair(inner, item, indent + 2, lines)
        return
    for item in value:
        _item(item, indent + 2, lines)
        if key == "entry":
            lines.append("")
    if key == "entry":
        lines.pop()


def _small(value: Any) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return not any(isinstance(item, dict | list) for item in items)


def _item(item: Any, indent: int, lines: list[str]) -> None:
    space = " " * indent
    if not isinstance(item, dict):
        if isinstance(item, list):
            raise TypeError("a list in a list")
        lines.append(f"{space}- {scalar(item)}")
        return
    flow = _flow(item)
    if flow is not None and len(item) <= 2 and indent + len(flow) + 2 <= _WIDTH:
        lines.append(f"{space}- {flow}")
        return
    inner: list[str] = []
    for key, value in item.items():
        _pair(key, value, indent + 2, inner)
    inner[0] = f"{space}- {inner[0].lstrip()}"
    lines += inner
