"""Receipts as HTTP answers."""

from __future__ import annotations

import json

import pytest

from connectors.http.answers import answer, hl7_answer, problem
from engine.contract import ErrorInfo, MessageId, Outcome, Payload, Receipt, Stage
from engine.formats.fhir.validation import validate_resource

ERROR = ErrorInfo("HL7-HEADER", "there is no MSH", Stage.RECEIVING, help="send HL7")
ID = MessageId("00000000-0000-7000-8000-000000000001")


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.DUPLICATE])
def test_owned(outcome: Outcome) -> None:
    response = answer(Receipt(outcome, ID))
    assert response.status_code == 202
    assert json.loads(response.body) == {"outcome": outcome.value, "message_id": ID}


def test_refused_for_ever() -> None:
    response = answer(Receipt(Outcome.REJECTED, error=ERROR))
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.body) == {
        "title": "the message was refused: do not send it again",
        "status": 422,
        "detail": "there is no MSH",
        "code": "HL7-HEADER",
        "help": "send HL7",
    }


def test_not_now() -> None:
    response = answer(Receipt(Outcome.UNAVAILABLE))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


def test_a_reply_is_passed_on() -> None:
    reply = Payload("ответ".encode(), "text/plain", "utf-8")
    response = answer(Receipt(Outcome.ACCEPTED, ID, reply=reply))
    assert (response.status_code, response.body) == (200, reply.body)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.ACCEPTED, 200), (Outcome.REJECTED, 422), (Outcome.UNAVAILABLE, 503)],
)
def test_hl7(outcome: Outcome, status: int) -> None:
    response = hl7_answer(Receipt(outcome), b"MSH|...", "application/hl7-v2")
    assert (response.status_code, response.body) == (status, b"MSH|...")
    assert response.headers["content-type"] == "application/hl7-v2"


def test_a_sender_that_wants_no_acknowledgement_gets_the_status() -> None:
    response = hl7_answer(Receipt(Outcome.ACCEPTED, ID), None, "application/hl7-v2")
    assert (response.status_code, response.body) == (200, b"")


def test_a_problem_can_end_the_connection() -> None:
    assert problem(413, close=True).headers["connection"] == "close"
    assert "connection" not in problem(413).headers


def test_a_sender_of_fhir_is_told_in_fhir() -> None:
    error = ErrorInfo(
        "FLOW-INVALID",
        "Patient.gender: the code is not in the required set administrative-gender",
        Stage.RECEIVING,
        location="Patient.gender",
    )
    response = answer(Receipt(Outcome.REJECTED, error=error), fhir=True)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/fhir+json"
    outcome = json.loads(response.body)
    assert validate_resource(outcome) == ()
    assert outcome["issue"] == [
        {
            "severity": "error",
            "code": "invalid",
            "diagnostics": f"FLOW-INVALID: {error.summary}",
            "expression": ["Patient.gender"],
        }
    ]
    busy = answer(Receipt(Outcome.UNAVAILABLE), fhir=True)
    assert busy.headers["retry-after"]
    assert json.loads(busy.body)["issue"][0]["code"] == "transient"
