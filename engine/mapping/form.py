"""What a form is: a call that the compiler itself understands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.mapping.ast import Call, Expr
from engine.mapping.closures import Compiled

if TYPE_CHECKING:
    from engine.mapping.expressions import ExpressionCompiler


@dataclass(frozen=True, slots=True)
class Form:
    """``least`` and ``most`` count the arguments, the piped value included."""

    name: str
    signature: str
    doc: str
    least: int
    most: int
    compile: Callable[[ExpressionCompiler, Call], Compiled]
    examples: tuple[tuple[str, Any], ...] = ()


def literal_of(compiler: ExpressionCompiler, node: Expr) -> str | None:
    """The text of an argument that must be known when the mapping is compiled."""
    found = compiler.value(node)
    if found.constant and isinstance(found.value, str):
        return found.value
    compiler.refuse("M309", node, "a literal text is wanted here", "write it in quotes")
    return None
