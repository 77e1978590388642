"""What a status means, and how long to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.webclient.verdicts import LONGEST_WAIT, Verdict, retry_after, verdict

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        ((200, 201, 202, 204, 299), Verdict.YES),
        ((301, 302, 307, 308), Verdict.LATER),
        ((401, 407, 408, 423, 425, 429), Verdict.LATER),
        ((500, 502, 503, 504, 507, 599), Verdict.LATER),
        ((400, 403, 404, 405, 409, 410, 412, 413, 415, 422), Verdict.NEVER),
        ((501, 505), Verdict.NEVER),
    ],
)
def test_the_table(statuses: tuple[int, ...], wanted: Verdict) -> None:
    assert {verdict(status) for status in statuses} == {wanted}


def test_exceptions_of_a_channel() -> None:
    assert verdict(404, retry=(404,)) is Verdict.LATER
    assert verdict(500, reject=(500,)) is Verdict.NEVER
    assert verdict(404, retry=(404,), reject=(404,)) is Verdict.NEVER
    assert verdict(200, success=(201,)) is Verdict.NEVER
    assert verdict(409, success=(200, 409)) is Verdict.YES


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),  # no zone: UTC
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),  # in the past
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60),  # RFC 850, obsolete and still sent
        ("9" * 400, LONGEST_WAIT.total_seconds()),
        ("Fri, 01 Mar 2999 12:00:00 GMT", LONGEST_WAIT.total_seconds()),
    ],
)
def test_both_forms_of_retry_after(text: str, seconds: float) -> None:
    assert retry_after(text, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", [None, "", "soon", "-5", "1.5", "７"])
def test_an_unreadable_wait_is_none(text: str | None) -> None:
    assert retry_after(text, NOW) is None


@given(st.text(max_size=40))
def test_no_text_breaks_it(text: str) -> None:
    wait = retry_after(text, NOW)
    assert wait is None or timedelta(0) <= wait <= LONGEST_WAIT
