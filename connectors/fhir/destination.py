"""Sends each payload to a FHIR server as the one interaction that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from connectors.fhir.interaction import Request, UnfitPayload, request_for
from connectors.fhir.outcome import (
    RESPONSES,
    entry_verdicts,
    first_issue,
    is_transient,
    message_response,
)
from connectors.fhir.settings import FhirSettings
from connectors.webclient.client import HttpClient
from connectors.webclient.connection import Answer
from connectors.webclient.probe import probe
from connectors.webclient.verdicts import Verdict
from engine.contract import (
    Check,
    Delivered,
    ErrorInfo,
    Outbound,
    RejectedError,
    RetryableError,
    Services,
    Stage,
    UncertainError,
)

_MEDIA: Final = "application/fhir+json"
_DUPLICATE: Final = b"Carebus-Possible-Duplicate: true\r\n"
_MANY: Final = 256  # request heads remembered: FHIR has about 150 resource types


class FhirDestination:
    """See `engine.contract.Destination`."""

    def __init__(self, settings: FhirSettings, services: Services) -> None:
        self._settings = settings
        self._client = HttpClient(settings, services, prefix="FHIR")
        self._base = self._client.path.rstrip("/")
        self._heads: dict[tuple[str, str], bytes] = {}

    async def open(self) -> None:
        await self._client.open()

    async def close(self, grace: timedelta) -> None:
        await self._client.close(grace)

    async def send(self, outbound: Outbound) -> Delivered:
        settings = self._settings
        body = outbound.payload.body
        try:
            request = request_for(
                body,
                settings.interaction,
                identifier_system=settings.identifier_system,
                messages=settings.messages,
            )
        except UnfitPayload as unfit:
            raise RejectedError(_unfit(str(unfit))) from None
        head = self._heads.get((request.method, request.target)) or self._head(request)
        more = b""
        if request.condition is not None:
            more = f"If-None-Exist: {request.condition}\r\n".encode("ascii")
        if outbound.possible_duplicate:
            more += _DUPLICATE
        answer = await self._client.exchange(head, body, more)
        self._judge(request, answer)
        return Delivered(answer.payload(), self._remote_id(answer))

    async def check(self) -> Sequence[Check]:
        """Name, TCP, TLS, and the server's capability statement."""
        return await probe(self._client, "GET", f"{self._base}/metadata")

    def _head(self, request: Request) -> bytes:
        head = self._client.head(
            request.method,
            (self._base + request.target) or "/",
            {
                "Content-Type": _MEDIA,
                "Accept": _MEDIA,
                "Prefer": f"return={self._settings.prefer}",
            },
        )
        # An id or identifier in the target belongs to one patient: nothing to remember.
        if request.method == "POST" and len(self._heads) < _MANY:
            self._heads[request.method, request.target] = head
        return head

    def _judge(self, request: Request, answer: Answer) -> None:
        verdict = self._client.verdict(answer)
        if verdict is Verdict.YES:
            if request.bundle in ("batch", "message"):
                self._judge_parts(request, answer)
            return
        code = first_issue(answer.body) if answer.body else None
        rejects = self._settings.reject_statuses
        if answer.status not in rejects and (answer.status == 409 or is_transient(code)):
            verdict = Verdict.LATER
        self._client.judge(answer, verdict, peer_code=code)

    def _judge_parts(self, request: Request, answer: Answer) -> None:
        """A batch and a message are answered with 200 whatever became of their content."""
        if not answer.body and answer.whole:
            return  # the server had nothing to add to its yes
        if request.bundle == "message":
            code = message_response(answer.body)
            if code is not None:
                self._client.judge(answer, RESPONSES[code], peer_code=code)
            return
        verdicts = entry_verdicts(answer.body)
        if verdicts is None:
            raise UncertainError(
                self._client.error("BAD-ANSWER", "the answer to a batch is no batch-response")
            )
        bad = [verdict for verdict in verdicts if verdict is not Verdict.YES]
        if bad:
            info = _entries(f"{len(bad)} of {len(verdicts)} entries were not taken")
            raise RejectedError(info) if Verdict.NEVER in bad else RetryableError(info)

    def _remote_id(self, answer: Answer) -> str | None:
        """``Type/id[/_history/version]`` of what the server created or updated."""
        location = answer.header("location")
        if location is None:
            return None
        _, base, rest = location.partition(f"{self._base}/")
        return rest if base and self._base else location


def _unfit(what: str) -> ErrorInfo:
    return ErrorInfo(
        code="FHIR-PAYLOAD",
        summary=f"the payload cannot be sent: {what}",
        stage=Stage.SENDING,
        help="let the mapping write resourceType, and the id or identifier that the channel's "
        "interaction uses",
    )


def _entries(summary: str) -> ErrorInfo:
    return ErrorInfo(
        code="FHIR-ENTRIES",
        summary=summary,
        stage=Stage.SENDING,
        help="look at the peer's answer in the message's history; a transaction is all or nothing",
    )
