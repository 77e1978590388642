"""Patterns that could run for hours are refused; the others meet texts of a bounded length."""

from __future__ import annotations

import time

import pytest

from engine.contract import MappingError
from engine.mapping.patterns import Pattern, PatternRefused
from tests.unit.mapping.reading import hl7, value


@pytest.mark.parametrize(
    "text",
    [
        r"\d{15}(\d{2}[0-9X])?",
        "A0[1348]|A1[123]",
        r"(?i:urn):(uuid|oid):.+",
        "[(a+)+]*",
        r"\(a+\)+",
        "(ab){3}",
        "患者.*",
        r"(?P<year>\d{4})-\d\d",
    ],
)
def test_allowed(text: str) -> None:
    assert Pattern(text).longest >= 100


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+",
        "(a*)*b",
        "(a|a)*",
        "(a|ab)+c",
        "((ab)+)*",
        "(a?){50}",
        "(.*)*",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(a",
        "a{2000}",
        "a?" * 30,
        ".*" * 9,
        "x" * 600,
        "((a{1,5}){1,5}){1,5}",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(PatternRefused):
        Pattern(text)


def test_a_text_that_is_too_long_for_a_pattern_is_an_error_at_run_time() -> None:
    message = hl7("PID|||" + "a" * 20_000)
    with pytest.raises(MappingError) as caught:
        value("PID-3 matches '.*b.*c'", message)
    assert caught.value.info.code == "R301"


@pytest.mark.parametrize("text", [r"[A-Za-z0-9+/=\s]+", r"[^\]a]*", r"\d+", ".*"])
def test_one_kind_of_character_is_looked_for_in_documents_too(text: str) -> None:
    pattern = Pattern(text)
    assert pattern.longest > 10_000_000
    started = time.perf_counter()
    assert pattern.compiled.fullmatch("1" * 500_000 + "\n]a") is None
    assert time.perf_counter() - started < 5


def test_the_worst_that_is_allowed_ends_soon() -> None:
    pattern = Pattern(".*a.*b.*c")
    text = "ab" * (pattern.longest // 2)
    started = time.perf_counter()
    assert pattern.compiled.search(text) is None
    assert time.perf_counter() - started < 5
