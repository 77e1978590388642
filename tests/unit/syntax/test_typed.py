"""Numbers and booleans are those of JSON, and only where they are asked for."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.syntax import Diagnostics, Position, Scalar
from engine.syntax.typed import boolean_of, integer_of, number_of, text_of


def scalar(text: str) -> Scalar:
    return Scalar(text, False, Position("f.yaml", 1, 1))


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_booleans(text: str, value: bool) -> None:
    assert boolean_of(scalar(text), Diagnostics()) is value


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "True", "TRUE", "y", "1", "0", ""])
def test_everything_else_is_no_boolean(text: str) -> None:
    diagnostics = Diagnostics()
    assert boolean_of(scalar(text), diagnostics) is None
    assert [found.code for found in diagnostics.items] == ["Y201"]


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-7", -7), ("2575", 2575)])
def test_integers(text: str, value: int) -> None:
    assert integer_of(scalar(text), Diagnostics()) == value


@pytest.mark.parametrize(
    "text", ["", "007", "1.0", "1_000", "0x1F", "22:22", "+1", "1e3", "٣", "9" * 40, "1\n"]
)
def test_everything_else_is_no_integer(text: str) -> None:
    diagnostics = Diagnostics()
    assert integer_of(scalar(text), diagnostics) is None
    assert [found.code for found in diagnostics.items] == ["Y202"]


@pytest.mark.parametrize("text", ["0", "1.10", "-0.5", "2e3", "1E-7"])
def test_numbers_keep_their_digits(text: str) -> None:
    assert number_of(scalar(text), Diagnostics()) == Decimal(text)
    assert str(number_of(scalar("1.10"), Diagnostics())) == "1.10"


@pytest.mark.parametrize("text", [".5", "1.", "nan", "inf", "1_0.0", "0.5.1", "1e9999"])
def test_everything_else_is_no_number(text: str) -> None:
    diagnostics = Diagnostics()
    assert number_of(scalar(text), diagnostics) is None
    assert [found.code for found in diagnostics.items] == ["Y203"]


@pytest.mark.parametrize("text", ["no", "1.10", "22:22", "null", ""])
def test_asking_for_text_gives_the_text(text: str) -> None:
    assert text_of(scalar(text), Diagnostics()) == text
