"""The fhir destination against a scripted server on real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.fhir.destination import FhirDestination
from connectors.fhir.settings import FhirSettings
from engine.contract import (
    ChannelName,
    Delivered,
    EngineError,
    Message,
    MessageId,
    Outbound,
    Payload,
    RejectedError,
    RetryableError,
    UncertainError,
)
from engine.testing.services import MemoryServices
from tests.integration.raw_http import RawPeer, Script, raw_peer, says

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
MEDIA = "application/fhir+json"
TRANSACTION = {"resourceType": "Bundle", "type": "transaction", "entry": [{"x": "Zzyzx"}]}
BATCH = {"resourceType": "Bundle", "type": "batch", "entry": []}
MESSAGE = {"resourceType": "Bundle", "type": "message", "entry": []}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:x", "value": "Zzyzx"}],
}


def outbound(resource: Any, *, possible_duplicate: bool = False) -> Outbound:
    payload = Payload(json.dumps(resource).encode(), MEDIA, "utf-8")
    message = Message(MessageId("0198-7"), ChannelName("his"), payload, NOW)
    return Outbound(message, payload, possible_duplicate=possible_duplicate)


@asynccontextmanager
async def connected(
    script: Script, **more: Any
) -> AsyncIterator[tuple[RawPeer, FhirDestination, MemoryServices]]:
    services = MemoryServices(clock=lambda: NOW)
    async with raw_peer(script) as peer:
        url = f"http://127.0.0.1:{peer.port}/fhir/"
        settings = FhirSettings.model_validate({"url": url, **more})
        destination = FhirDestination(settings, services)
        await destination.open()
        try:
            yield peer, destination, services
        finally:
            await destination.close(timedelta(seconds=1))


async def answered(script: Script, resource: Any, **more: Any) -> Delivered | EngineError:
    """What becomes of one send; an error holds nothing of the resource or of the answer."""
    async with connected(script, **more) as (peer, destination, services):
        try:
            return await destination.send(outbound(resource))
        except EngineError as caught:
            error = caught
        assert "Zzyzx" not in f"{error!r} {error.info!r} {services.logged}"
        assert len(peer.requests) <= 1
        return error


def outcome(code: str) -> bytes:
    issue = {"severity": "error", "code": code, "diagnostics": "Zzyzx is unknown"}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


@pytest.mark.parametrize(
    ("resource", "interaction", "line"),
    [
        (TRANSACTION, "create", "POST /fhir HTTP/1.1"),
        (BATCH, "update", "POST /fhir HTTP/1.1"),
        (MESSAGE, "create", "POST /fhir/$process-message HTTP/1.1"),
        (PATIENT, "create", "POST /fhir/Patient HTTP/1.1"),
        (PATIENT, "update", "PUT /fhir/Patient/p1 HTTP/1.1"),
        (PATIENT, "conditional_update", "PUT /fhir/Patient?identifier=urn%3Ax%7CZzyzx HTTP/1.1"),
    ],
)
async def test_requests(resource: Any, interaction: str, line: str) -> None:
    async with connected(says("200 OK"), interaction=interaction) as (peer, destination, _):
        await destination.send(outbound(resource))
        await destination.send(outbound(resource, possible_duplicate=True))
        for request, is_flagged in zip(peer.requests, (False, True), strict=True):
            head, _, body = request.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            assert lines[0] == line
            assert f"Content-Type: {MEDIA}" in lines
            assert f"Accept: {MEDIA}" in lines
            assert "Prefer: return=minimal" in lines
            assert ("Carebus-Possible-Duplicate: true" in lines) == is_flagged
            assert json.loads(body) == resource
        assert peer.connections == 1


async def test_conditional_create() -> None:
    script = says("201 Created", headers="Location: /fhir/Patient/9/_history/1\r\n")
    async with connected(script, interaction="conditional_create") as (peer, destination, _):
        delivered = await destination.send(outbound(PATIENT))
        assert delivered == Delivered(None, "Patient/9/_history/1")
        assert b"\r\nIf-None-Exist: identifier=urn%3Ax%7CZzyzx\r\n" in peer.requests[0]


async def test_the_remote_id_of_a_foreign_location() -> None:
    script = says("201 Created", headers="Location: http://other.example/R4/Patient/9\r\n")
    delivered = await answered(script, PATIENT)
    assert isinstance(delivered, Delivered)
    assert delivered.remote_id == "http://other.example/R4/Patient/9"


@pytest.mark.parametrize(
    ("status", "body", "kind", "peer_code"),
    [
        ("400 Bad", outcome("structure"), RejectedError, "structure"),
        ("422 No", outcome("business-rule"), RejectedError, "business-rule"),
        ("422 No", b"Zzyzx", RejectedError, "422"),
        ("412 Many match", outcome("multiple-matches"), RejectedError, "multiple-matches"),
        ("404 None", b"", RejectedError, "404"),
        ("409 Conflict", outcome("conflict"), RetryableError, "conflict"),
        ("400 Bad", outcome("lock-error"), RetryableError, "lock-error"),
        ("429 Many", outcome("throttled"), RetryableError, "throttled"),
        ("503 Busy", b"", RetryableError, "503"),
        ("500 Oops", outcome("exception"), RetryableError, "exception"),
        ("401 Who", outcome("login"), RetryableError, "login"),
    ],
)
async def test_refusals(status: str, body: bytes, kind: type, peer_code: str) -> None:
    script = says(status, body=body, headers="Retry-After: 7\r\n", content_type=MEDIA)
    error = await answered(script, TRANSACTION)
    assert type(error) is kind
    assert isinstance(error, EngineError)
    assert error.info.peer_code == peer_code
    if isinstance(error, RetryableError):
        assert error.after == timedelta(seconds=7)


async def test_a_channel_may_say_that_a_conflict_is_final() -> None:
    error = await answered(says("409 Conflict"), TRANSACTION, reject_statuses=[409])
    assert isinstance(error, RejectedError)


def batch(*statuses: str) -> bytes:
    entries = [{"response": {"status": status}} for status in statuses]
    return json.dumps(
        {"resourceType": "Bundle", "type": "batch-response", "entry": entries}
    ).encode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (batch("201 Created", "200 OK"), Delivered),
        (b"", Delivered),
        (batch("201 Created", "503 Busy"), RetryableError),
        (batch("201 Created", "422 No", "503 Busy"), RejectedError),
        (b"<html>Zzyzx</html>", UncertainError),
    ],
)
async def test_the_entries_of_a_batch(body: bytes, kind: type) -> None:
    result = await answered(says("200 OK", body=body, content_type=MEDIA), BATCH)
    assert type(result) is kind
    if isinstance(result, RejectedError):
        assert result.info.code == "FHIR-ENTRIES"
        assert result.info.summary == "2 of 3 entries were not taken"


async def test_a_batch_answer_over_the_limit_is_not_believed() -> None:
    script = says("200 OK", body=batch("422 No") * 100, content_type=MEDIA)
    assert isinstance(await answered(script, BATCH, reply_limit=64), UncertainError)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("ok", Delivered), ("transient-error", RetryableError), ("fatal-error", RejectedError)],
)
async def test_the_answer_to_a_message(code: str, kind: type) -> None:
    header = {"resourceType": "MessageHeader", "response": {"code": code}}
    body = json.dumps({"resourceType": "Bundle", "entry": [{"resource": header}]}).encode()
    result = await answered(says("200 OK", body=body, content_type=MEDIA), MESSAGE)
    assert type(result) is kind
    if isinstance(result, EngineError):
        assert result.info.peer_code == code


async def test_a_payload_that_cannot_be_sent() -> None:
    error = await answered(says("200 OK"), {"name": "Zzyzx"})
    assert isinstance(error, RejectedError)
    assert error.info.code == "FHIR-PAYLOAD"


async def test_check_asks_for_the_capability_statement() -> None:
    script = says("200 OK", body=b'{"resourceType":"CapabilityStatement"}', content_type=MEDIA)
    async with connected(script) as (peer, destination, _):
        checks = await destination.check()
        assert [check.ok for check in checks] == [True, True, True]
        assert peer.requests[-1].startswith(b"GET /fhir/metadata HTTP/1.1\r\n")
    async with connected(says("401 Who")) as (_, destination, _):
        checks = await destination.check()
        assert [check.ok for check in checks] == [True, True, False]
