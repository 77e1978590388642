"""What a sender is told: the receipt as a status and a body (RFC 9110; RFC 9457 for problems).

Pure.  Nothing of the request is repeated in an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from starlette.responses import Response

from engine.contract import ErrorInfo, Outcome, Receipt

RETRY_AFTER: Final = "5"  # seconds
_CLOSE: Final = {"Connection": "close"}
_TITLES: Final = {
    400: "the request is incomplete or malformed",
    401: "say who you are",
    404: "nothing is here",
    405: "this method is not for this address",
    413: "the message is too large",
    415: "this content type is not taken here",
    422: "the message was refused: do not send it again",
    503: "not now: send it again later",
}


def problem(
    status: int,
    *,
    error: ErrorInfo | None = None,
    headers: Mapping[str, str] | None = None,
    close: bool = False,
) -> Response:
    """An ``application/problem+json`` answer; ``close`` ends the connection after it."""
    body: dict[str, str | int] = {"title": _TITLES[status], "status": status}
    if error is not None:
        body["detail"] = error.summary
        body["code"] = error.code
        if error.help is not None:
            body["help"] = error.help
    more = {**(headers or {}), **(_CLOSE if close else {})}
    return Response(orjson.dumps(body), status, more, "application/problem+json")


def answer(receipt: Receipt, *, fhir: bool = False) -> Response:
    """202 for what the engine owns (200 with the reply of a request/reply route), 422 for what it
    refuses, 503 for what shall come again.  ``fhir``: the sender expects an OperationOutcome."""
    status = status_of(receipt)
    if receipt.reply is not None and status < 300:
        return Response(receipt.reply.body, 200, media_type=content_type(receipt))
    if status >= 400:
        headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
        if fhir:
            return _operation_outcome(status, receipt.error, headers)
        return problem(status, error=receipt.error, headers=headers)
    body = {"outcome": receipt.outcome.value, "message_id": receipt.message_id}
    return Response(orjson.dumps(body), status, media_type="application/json")


def _operation_outcome(
    status: int, error: ErrorInfo | None, headers: Mapping[str, str] | None
) -> Response:
    """FHIR's way to say what is wrong (R4 2.29): an issue for the error, with its place."""
    issue: dict[str, object] = {
        "severity": "error",
        "code": "transient" if status == 503 else "invalid",
        "diagnostics": _TITLES[status] if error is None else f"{error.code}: {error.summary}",
    }
    if error is not None and error.location and error.code == "FLOW-INVALID":
        issue["expression"] = [error.location]
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return Response(orjson.dumps(outcome), status, headers, "application/fhir+json")


def hl7_answer(receipt: Receipt, acknowledgement: bytes | None, content_type: str) -> Response:
    """The same with an HL7 acknowledgement for a body: 200 where the engine owns the message.

    A sender that wants no acknowledgement (None) gets the status alone.
    """
    status = status_of(receipt)
    headers = {"Retry-After": RETRY_AFTER} if status == 503 else None
    return Response(
        acknowledgement or b"",
        200 if status < 300 else status,
        headers,
        content_type if acknowledgement else None,
    )


def status_of(receipt: Receipt) -> int:
    """202, 422 or 503."""
    if receipt.outcome in (Outcome.ACCEPTED, Outcome.DUPLICATE):
        return 202
    return 422 if receipt.outcome is Outcome.REJECTED else 503


def content_type(receipt: Receipt) -> str:
    """The reply's Content-Type as it goes on the wire."""
    reply = receipt.reply
    assert reply is not None  # noqa: S101  (the caller looked)
    return f"{reply.content_type}; charset={reply.charset}" if reply.charset else reply.content_type


def stopping() -> Response:
    """The channel stops, and nobody knows whether the message was taken: it shall come again."""
    return problem(503, headers={"Retry-After": RETRY_AFTER}, close=True)
