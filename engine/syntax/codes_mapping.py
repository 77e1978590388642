"""Mxxx: what can be wrong in a mapping when it is compiled."""

from __future__ import annotations

from engine.syntax.code import Code

ROWS: tuple[Code, ...] = ()
