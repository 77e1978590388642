"""Sends each message as one HTTP request, and takes the answer's status (or MSA) for its word.

Headers that tell the peer about repeated copies: ``Carebus-Possible-Duplicate: true`` when an
earlier attempt may have arrived, and on request ``Idempotency-Key: <message>/<channel>/<content>``,
where the last part is a digest of the body: the same for every attempt to deliver the same bytes,
different for two targets of one message and for a replay through a mended mapping.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from connectors.http.settings import DestinationSettings
from connectors.webclient.client import HttpClient
from connectors.webclient.connection import Answer
from connectors.webclient.probe import probe
from connectors.webclient.verdicts import Verdict
from engine.contract import (
    Check,
    Delivered,
    FormatError,
    Outbound,
    Payload,
    Services,
    UncertainError,
)
from engine.formats.hl7v2.acknowledgement import read_acknowledgement

_MEDIA_TYPE: Final = re.compile(r"^[!-~][ -~]*$")
_MANY: Final = 32  # content types remembered; a channel has one or two
_DUPLICATE: Final = b"Carebus-Possible-Duplicate: true\r\n"
_MSA: Final = {
    "AA": Verdict.YES,
    "CA": Verdict.YES,
    "AE": Verdict.LATER,
    "CE": Verdict.LATER,
    "AR": Verdict.NEVER,
    "CR": Verdict.NEVER,
}


class HttpDestination:
    """See `engine.contract.Destination`."""

    def __init__(self, settings: DestinationSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._client = HttpClient(settings, services, prefix="HTTP")
        query = f"?{self._client.query}" if self._client.query else ""
        self._target = self._client.path + query
        self._heads: dict[tuple[str, str | None], bytes] = {}

    async def open(self) -> None:
        await self._client.open()

    async def close(self, grace: timedelta) -> None:
        await self._client.close(grace)

    async def send(self, outbound: Outbound) -> Delivered:
        payload = outbound.payload
        head = self._heads.get((payload.content_type, payload.charset)) or self._head(payload)
        more = b""
        if self._settings.idempotency_key:
            more = self._idempotency_key(outbound)
        if outbound.possible_duplicate:
            more += _DUPLICATE
        answer = await self._client.exchange(head, payload.body, more)
        if self._settings.reply == "hl7v2":
            self._judge_acknowledgement(answer)
        else:
            self._client.judge(answer, self._client.verdict(answer, self._settings.success))
        return Delivered(answer.payload(), answer.header("location"))

    async def check(self) -> Sequence[Check]:
        """Name, TCP, TLS, and whether HTTP is answered at the address, with our credentials."""
        return await probe(self._client, "OPTIONS", self._target, any_answer=True)

    def _head(self, payload: Payload) -> bytes:
        media = self._settings.content_type or payload.content_type
        if not _MEDIA_TYPE.match(media):
            media = "application/octet-stream"
        charset = payload.charset
        if charset and "charset" not in media.lower() and _MEDIA_TYPE.match(charset):
            media = f"{media}; charset={charset}"
        head = self._client.head(self._settings.method, self._target, {"Content-Type": media})
        if len(self._heads) < _MANY:
            self._heads[payload.content_type, payload.charset] = head
        return head

    def _idempotency_key(self, outbound: Outbound) -> bytes:
        content = hashlib.blake2b(outbound.payload.body, digest_size=8).hexdigest()
        key = f"{outbound.message.id}/{self._services.channel}/{content}"
        return f"Idempotency-Key: {key}\r\n".encode("ascii")

    def _judge_acknowledgement(self, answer: Answer) -> None:
        """MSA-1 decides where the body has one; where it has none, a yes is not believed."""
        try:
            code = read_acknowledgement(answer.body).code
        except FormatError:
            pass
        else:
            self._client.judge(answer, _MSA[code], peer_code=code)
            return
        self._client.judge(answer, self._client.verdict(answer, self._settings.success))
        raise UncertainError(
            self._client.error("BAD-ANSWER", "the answer holds no HL7 acknowledgement")
        )
