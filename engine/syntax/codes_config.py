"""Cxxx: what can be wrong in channels, routes and TLS profiles, each alone and together."""

from __future__ import annotations

from engine.syntax.code import Code

ROWS: tuple[Code, ...] = ()
