"""The source of this package's closures as syntax trees, for `engine.mapping.fusing`.

Only what runs counts: a function whose source on disk compiles to something else has no shape.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Final

_REFUSED: Final = (
    ast.Lambda, ast.FunctionDef, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp,
    ast.While, ast.With, ast.TryStar, ast.NamedExpr, ast.Nonlocal, ast.Global, ast.Yield,
    ast.Match, ast.Delete,
)  # fmt: skip


@lru_cache(maxsize=1024)
def _shape_of(code: CodeType, module: str) -> tuple[ast.stmt, ...] | None:
    tree = _functions(module).get((code.co_name, code.co_firstlineno))
    if tree is None or code.co_varnames[: code.co_argcount] != ("run",):
        return None
    node, compiled = tree
    if not _same(code, compiled):
        return None
    body = node.body if isinstance(node, ast.FunctionDef) else [ast.Return(node.body)]
    if any(isinstance(inner, _REFUSED) for s in body for inner in ast.walk(s)):
        return None
    return tuple(body)


def shape(function: FunctionType) -> tuple[ast.stmt, ...] | None:
    """The statements of a closure of this package, if its source is there."""
    module = function.__module__ or ""
    if not module.startswith("engine.mapping."):
        return None
    return _shape_of(function.__code__, module)


@lru_cache(maxsize=64)
def _functions(
    module: str,
) -> dict[tuple[str, int], tuple[ast.FunctionDef | ast.Lambda, CodeType]]:
    """The functions of a module by name and line, with the code their source compiles to."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return {}  # installed without source
    found: dict[tuple[str, int], tuple[ast.FunctionDef | ast.Lambda, CodeType]] = {}
    codes: dict[tuple[str, int], list[CodeType]] = {}
    for code in _codes(compile(source, module, "exec", dont_inherit=True)):
        codes.setdefault((code.co_name, code.co_firstlineno), []).append(code)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            name = node.name if isinstance(node, ast.FunctionDef) else "<lambda>"
            compiled = codes.get((name, node.lineno), [])
            if len(compiled) == 1:
                found[name, node.lineno] = node, compiled[0]
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield value
            yield from _codes(value)


def _same(running: CodeType, read: CodeType) -> bool:
    """Whether the source on disk is what runs: files may be replaced under a running process."""
    return (
        running.co_code == read.co_code
        and running.co_names == read.co_names
        and running.co_varnames == read.co_varnames
        and running.co_freevars == read.co_freevars
        and repr([c for c in running.co_consts if not isinstance(c, CodeType)])
        == repr([c for c in read.co_consts if not isinstance(c, CodeType)])
    )
