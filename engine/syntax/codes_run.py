"""Rxxx: what can go wrong when a mapping meets a message.  Never shows a value."""

from __future__ import annotations

from engine.syntax.code import Code

ROWS: tuple[Code, ...] = ()
