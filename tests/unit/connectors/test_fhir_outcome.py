"""What a FHIR server's answer says beyond its status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.fhir.outcome import (
    RESPONSES,
    entry_verdicts,
    first_issue,
    is_transient,
    message_response,
)
from connectors.webclient.verdicts import Verdict


def outcome(*codes: Any) -> bytes:
    issues = [{"severity": "error", "code": code, "diagnostics": "Müller"} for code in codes]
    return json.dumps({"resourceType": "OperationOutcome", "issue": issues}).encode()


def test_the_first_issue_counts() -> None:
    assert first_issue(outcome("business-rule", "required")) == "business-rule"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"resourceType":"Patient"}',
        outcome(),
        outcome(5),
        outcome("Not A Code: Müller"),
        b'{"resourceType":"OperationOutcome","issue":["x"]}',
    ],
)
def test_what_has_no_issue_code(body: bytes) -> None:
    assert first_issue(body) is None


def test_transient_issues() -> None:
    assert is_transient("throttled")
    assert is_transient("lock-error")
    assert not is_transient("invalid")
    assert not is_transient(None)


def batch(*statuses: Any) -> bytes:
    entries = [{"response": {"status": status}} for status in statuses]
    return json.dumps(
        {"resourceType": "Bundle", "type": "batch-response", "entry": entries}
    ).encode()


def test_entries_of_a_batch() -> None:
    found = entry_verdicts(batch("201 Created", "404", "503 busy", "409 Conflict", None, "20"))
    later = Verdict.LATER
    assert found == [Verdict.YES, Verdict.NEVER, later, later, later, later]
    assert entry_verdicts(batch()) == []
    assert entry_verdicts(b'{"resourceType":"Bundle","entry":["x"]}') == [later]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"resourceType":"Patient"}', b'{"entry":[]}'])
def test_what_is_no_batch_answer(body: bytes) -> None:
    assert entry_verdicts(body) is None


def header(code: Any) -> bytes:
    resource = {"resourceType": "MessageHeader", "response": {"code": code}}
    return json.dumps({"resourceType": "Bundle", "entry": [{"resource": resource}]}).encode()


def test_answers_to_messages() -> None:
    assert [message_response(header(code)) for code in RESPONSES] == list(RESPONSES)
    assert message_response(header("perhaps")) is None
    assert message_response(header(None)) is None
    assert message_response(b'{"resourceType":"Bundle","entry":[{"resource":[]}]}') is None


@given(
    st.recursive(st.none() | st.text(max_size=5), lambda x: st.lists(x, max_size=3), max_leaves=6)
)
def test_no_shape_breaks_it(value: Any) -> None:
    for key in ("entry", "issue"):
        for kind in ("Bundle", "OperationOutcome"):
            body = json.dumps({"resourceType": kind, key: value}).encode()
            first_issue(body)
            message_response(body)
            verdicts = entry_verdicts(body)
            assert verdicts is None or Verdict.YES not in verdicts
