"""A compiled piece: a closure, and whether its value is the same in every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.mapping.runstate import Code


@dataclass(frozen=True, slots=True)
class Compiled:
    code: Code
    constant: bool = False
    value: Any = None  # when constant


def constant(value: Any) -> Compiled:
    return Compiled(lambda run: value, True, value)


NOTHING_AT_ALL: Final = constant(None)
"""What is compiled after a diagnostic: missing, always."""
