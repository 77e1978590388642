"""A function without the tests that are known does what it did."""

from __future__ import annotations

import ast
from itertools import product
from typing import Any

import pytest

from engine.mapping.closures import Compiled, constant
from engine.mapping.elements import Component, Repetition
from engine.mapping.fusing import fuse, fuse_later
from engine.mapping.operators import otherwise
from engine.mapping.paths_hl7v2 import variable_text
from engine.mapping.runstate import FIRST_FREE, MAX_STEPS, STEPS, Run
from engine.mapping.settling import settled

NOTHING_MORE = """
if a is None: v = None
else: v = [a]
if v is None: w = 'none'
else: w = v
"""
COPIED = """
if a.__class__ is str: v = a
elif a: v = None
else: v = a
w = v
if w is not None and w.__class__ is not list: out['w'] = w
if w.__class__ is str: out['s'] = w
else: out['t'] = w
"""
LOOP = """
v = None
for item in (a, b):
    if item is None: continue
    v = item
    if v.__class__ is str: break
if v is None: w = 1
else: w = v
"""
ATTEMPT = """
v = {}
try:
    v = None
    if a is None: raise ValueError
    v = a
except ValueError:
    if v is None: out['none'] = 1
    else: out['some'] = v
if v.__class__ is dict: w = 'dict'
else: w = v
"""
NOT_TRUTH = """
v = None
w = v and a
x = v is None and a is None
if x: y = 1
else: y = 2
if w is None: z = 1
else: z = 2
"""
SAME_AGAIN = """
v = []
if a is None: v = None
elif b is None: v += [1]
else: v.append(2)
if v is None: w = 0
else: w = len(v)
"""
RUN = """
v = run[3]
if v.__class__ is str: w = v
elif v is None: w = 0
else: w = 1
"""


def names(body: list[ast.stmt], a: Any, b: Any) -> dict[str, Any]:
    module = ast.fix_missing_locations(ast.Module(body, []))
    found: dict[str, Any] = {"a": a, "b": b, "out": {}, "run": [0, 0, 0, "text"]}
    exec(compile(module, "<test>", "exec"), found)  # noqa: S102 - the texts above
    return {name: found[name] for name in found if not name.startswith("__")}


@pytest.mark.parametrize("text", [NOTHING_MORE, COPIED, LOOP, ATTEMPT, NOT_TRUTH, SAME_AGAIN, RUN])
def test_nothing_else_comes_out(text: str) -> None:
    body = ast.parse(text).body
    fewer = settled(body, {3: str})
    for a, b in product([None, "", "x", 0, 5, [], [1], True], repeat=2):
        assert names(fewer, a, b) == names(body, a, b)


def shown(text: str, assumed: dict[int, type]) -> str:
    return ast.unparse(ast.Module(settled(ast.parse(text).body, assumed), []))


def test_what_is_known_is_not_asked() -> None:
    assert shown(RUN, {3: str}) == "v = run[3]\nw = v"
    assert shown(NOTHING_MORE, {}) == (
        "if a is None:\n    v = None\n    w = 'none'\nelse:\n    v = [a]\n    w = v"
    )
    assert shown("v = {}\nif v is not None: w = v", {}) == "v = {}\nw = v"
    assert shown("v = a\nif v is None: w = v", {}).count("if") == 1


def test_arguments_of_another_kind_are_still_right() -> None:
    cell = FIRST_FREE
    text = Compiled(variable_text(cell, 1, lambda run, node: "slow"))
    code = otherwise(text, constant("missing")).code
    fused = fuse(code, {cell: Repetition})
    later = fuse_later(code, (cell,))
    assert fused is not code
    given = (Repetition(["a"]), Repetition([""]), None, Component(["b"]), "c")
    wanted = ("a", "missing", "missing", "slow", "slow")
    for value, expected in zip(given * 3, wanted * 3, strict=True):
        run: Run = [None] * FIRST_FREE
        run[STEPS] = MAX_STEPS
        run.append(value)
        assert fused(run) == later(run) == code(run) == expected
