"""The table of codes, the collection of diagnostics, and the nearest name."""

from __future__ import annotations

import re

import pytest

from engine.syntax import CODES, Diagnostics, Position, Severity, nearest
from engine.syntax.code import Code, table
from engine.syntax.nearest import did_you_mean


def test_rows_are_complete() -> None:
    for code, row in CODES.items():
        assert code == row.code
        assert re.fullmatch(r"[A-Z][0-9]{3}", code)
        assert row.title
        assert not row.title.endswith(".")
        assert row.explanation.endswith((".", "?"))


def test_a_code_means_one_thing() -> None:
    row = Code("X001", Severity.ERROR, "a", "b")
    with pytest.raises(ValueError, match="X001 is defined twice"):
        table([row, row])


def test_diagnostics_come_in_the_order_of_the_file_and_once() -> None:
    diagnostics = Diagnostics()
    for line in (3, 1, 3):
        diagnostics.add("C301", Position("a.yaml", line, 1), "unused")
    assert [found.position.line for found in diagnostics.items] == [1, 3]
    assert not diagnostics.has_errors
    diagnostics.add("C201", Position("a.yaml", 2, 1), "twice")
    assert diagnostics.has_errors
    assert str(diagnostics.items[1]) == "a.yaml:2:1: error[C201]: twice"


def test_an_unknown_code_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        Diagnostics().add("Z999", Position("a.yaml", 1, 1), "what")


def test_the_nearest_name() -> None:
    names = ["AdministrativeSex", "ObservationStatus"]
    assert nearest("AdminstrativeSex", names) == "AdministrativeSex"
    assert nearest("administrativesex", names) == "AdministrativeSex"
    assert nearest("zebra", names) is None
    assert nearest("x" * 100_000, names) is None
    assert did_you_mean("prot", ["port", "host"]) == "did you mean 'port'?"
    assert did_you_mean("zebra", ["port", "host"]) == "known: host, port"
    assert did_you_mean("zebra", []) is None
