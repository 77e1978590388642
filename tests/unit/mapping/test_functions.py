"""Every function does what its examples say: the examples are the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.contract import MapContext, MessageId
from engine.formats import JsonDocument
from engine.mapping import BUILT_IN, compile_expression
from engine.mapping.forms import FORMS
from engine.syntax import Diagnostics, Position, Scalar

CONTEXT = MapContext(MessageId("m"), datetime(2024, 1, 15, 8, tzinfo=UTC))
EXAMPLES = [
    (named.name, text, expected)
    for named in (*BUILT_IN.values(), *FORMS.values())
    for text, expected in named.examples
]


@pytest.mark.parametrize(("name", "text", "expected"), EXAMPLES)
def test_example(name: str, text: str, expected: Any) -> None:
    diagnostics = Diagnostics()
    scalar = Scalar(text, False, Position("example", 1, 1))
    expression = compile_expression(scalar, format="json", diagnostics=diagnostics)
    assert not diagnostics.items
    assert expression is not None
    found = expression.value(JsonDocument({}), CONTEXT)
    assert found == expected
    assert isinstance(found, bool) == isinstance(expected, bool)


def test_every_function_has_three_examples_and_a_sentence() -> None:
    for function in BUILT_IN.values():
        assert len(function.examples) >= 3, function.name
        assert function.doc.endswith((".", '"')), function.name
    assert len(BUILT_IN) + len(FORMS) >= 40


def test_forms_and_functions_have_different_names() -> None:
    assert not set(FORMS) & set(BUILT_IN)
