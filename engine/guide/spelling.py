"""Pieces of expressions in the mapping language."""

from __future__ import annotations

from typing import Final

NUMBERS: Final = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})


def literal(text: str, type_name: str) -> str:
    """A constant in an expression, as its type wants it."""
    plain = type_name in NUMBERS or type_name == "boolean"
    return text if plain else quoted(text)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def listed(codes: tuple[str, ...]) -> str:
    return "[" + ", ".join(quoted(code) for code in codes) + "]"


def loose(text: str) -> str:
    return f"({text})" if " ?? " in text else text


def tight(text: str) -> str:
    return f"({text})" if " or " in text else text
