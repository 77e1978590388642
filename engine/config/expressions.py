"""Expressions outside of mappings: conditions, index keys, duplicate keys, ordering keys."""

from __future__ import annotations

from collections.abc import Mapping

from engine.formats.delimited import Layout
from engine.mapping import Expression, Function, compile_expression
from engine.syntax import Diagnostics, Scalar


def compile_path(
    scalar: Scalar,
    format: str,
    *,
    functions: Mapping[str, Function],
    diagnostics: Diagnostics,
    layout: Layout | None = None,
) -> Expression | None:
    """The expression, or None after a diagnostic.  A raw payload has no paths; ``layout`` is that
    of a table, with commas and a header where it is not given."""
    if format == "raw":
        diagnostics.at("C137", scalar, "raw is not read, so it has no values")
        return None
    return compile_expression(
        scalar, format=format, diagnostics=diagnostics, functions=functions, layout=layout
    )
