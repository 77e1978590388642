"""Single values of an output as text, in formats where everything is text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def scalar_text(value: Any) -> str | None:
    """The text of a text, boolean or number, or of the one item of a list; None for anything else.

    Decimals keep their digits (``1.50``); only very large and very small ones get an exponent.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 1000 else str(value)
    if isinstance(value, list) and len(value) == 1:
        return scalar_text(value[0])
    return None
