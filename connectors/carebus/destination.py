"""The sending side: `LinkDestination`, an `engine.contract.Destination`.

A delivery has one name for all its attempts, by which the other engine knows a second copy: an
unknown outcome may always be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import orjson

from connectors.carebus import wire
from connectors.carebus.errors import error
from connectors.carebus.settings import LinkDestinationSettings
from connectors.carebus.wire import Answered, Part
from connectors.webclient.client import HttpClient
from connectors.webclient.connection import Answer
from connectors.webclient.probe import probe
from connectors.webclient.settings import ClientSettings
from connectors.webclient.verdicts import retry_after
from engine.contract import (
    Check,
    Delivered,
    DeliveryError,
    NotConnected,
    Outbound,
    Payload,
    RejectedError,
    RetryableError,
    Services,
    UncertainError,
)

_SMALL: Final = 2048  # bytes that are not worth compressing
_LARGE: Final = 256 * 1024  # bytes from which on zlib and SHA-256 work in a thread
_NOWHERE: Final = 3  # answers in a row that say the transfer stands elsewhere
_TOLD: Final = 200  # characters of the other engine's words that are kept
_LATER: Final = {
    Answered.UNAVAILABLE: ("CAREBUS-BUSY", "the other engine cannot take it now"),
    Answered.FORBIDDEN: ("CAREBUS-FORBIDDEN", "the other engine does not let us send"),
    Answered.NO_CHANNEL: ("CAREBUS-NO-CHANNEL", "the other engine has no such channel"),
    Answered.VERSION: ("CAREBUS-VERSION", "the other engine speaks another version of the link"),
}
_NEVER: Final = {
    Answered.REJECTED: ("CAREBUS-REJECTED", "the other engine rejected the message"),
    Answered.TOO_LARGE: ("CAREBUS-TOO-LARGE", "too large for the channel over there"),
    Answered.MALFORMED: ("CAREBUS-MALFORMED", "the other engine does not understand the request"),
    Answered.CIRCLE: ("CAREBUS-CIRCLE", "the message goes round in a circle"),
}


class LinkDestination:
    """See `engine.contract.Destination`."""

    def __init__(self, settings: LinkDestinationSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._client = HttpClient(
            ClientSettings(
                url=settings.url,
                headers={wire.LINK: wire.VERSION},
                tls=settings.tls,
                timeout=settings.timeout,
                connect_timeout=settings.connect_timeout,
                max_in_flight=settings.max_in_flight,
                keep_alive=settings.keep_alive,
                reply_limit=64 * 1024,
            ),
            services,
            prefix="CAREBUS",
        )

    async def open(self) -> None:
        await self._client.open()

    async def close(self, grace: timedelta) -> None:
        await self._client.close(grace)

    async def send(self, outbound: Outbound) -> Delivered:
        key = wire.delivery_key(outbound.message.id, outbound.target)
        body, encoding = await self._packed(outbound.payload.body)
        headers = self._headers(outbound)
        if encoding:
            headers["content-encoding"] = encoding
        if len(body) > self._settings.part:
            answer = await self._in_parts(key, headers, body)
        else:
            answer = await self._exchange("PUT", key, headers, body)
        return self._judged(answer, key)

    async def check(self) -> Sequence[Check]:
        """Name, connection with TLS, and whether the engine there takes our messages on the
        channel."""
        target = wire.address(self._settings.channel)
        checks = await probe(self._client, "GET", target, any_answer=True)
        if not all(check.ok for check in checks[:-1]) or checks[-1].name != "request":
            return checks
        opened = await self._client.open()
        try:
            self._judged(await self._exchange("GET", "", {}, b""), "")
        except (DeliveryError, NotConnected) as failure:
            info = failure.info
            return [*checks[:-1], Check("link", False, f"{info.summary}; {info.help}")]
        finally:
            if opened:
                await self._client.close(timedelta(seconds=1))
        return [*checks[:-1], Check("link", True, f"{self._settings.channel} takes our messages")]

    async def _packed(self, body: bytes) -> tuple[bytes, str]:
        """What goes on the wire, and how it is encoded."""
        if self._settings.compress == "none" or len(body) < _SMALL:
            return body, ""
        if len(body) < _LARGE:
            small = wire.compressed(body)
        else:
            small = await asyncio.to_thread(wire.compressed, body)
        return (body, "") if small is None else (small, "gzip")

    def _headers(self, outbound: Outbound) -> dict[str, str]:
        message, payload = outbound.message, outbound.payload
        media = payload.content_type
        if not (media.isascii() and media.isprintable()):
            media = "application/octet-stream"
        charset = payload.charset
        if charset and charset.isascii() and charset.isprintable():
            media = f"{media}; charset={charset}"
        earlier = message.attributes.get("link.trace", "")
        headers = {
            "content-type": media,
            wire.CHANNEL: wire.quoted(message.channel),
            wire.ACCEPTED_AT: wire.quoted(message.received_at.isoformat()),
            wire.TRACE: wire.trace_header([*filter(None, earlier.split(",")), message.id]),
        }
        if outbound.possible_duplicate:
            headers[wire.DUPLICATE] = "true"
        return headers

    async def _in_parts(self, key: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send what the other engine has not got yet; the answer to the last part.

        As long as that was not sent, the message is certainly not over there: what fails before is
        RetryableError (or NotConnected), and the next attempt goes on where this one stopped.
        """
        headers[wire.DIGEST] = await asyncio.to_thread(wire.digest_header, body)
        total, nowhere = len(body), 0
        answer = await self._step("GET", key, headers, b"", "asking how much has arrived")
        while True:
            start = self._offset(answer, key, total)
            if start is None:
                return answer
            part = Part(start, min(start + self._settings.part, total), total)
            ranged = {**headers, "content-range": part.header()}
            if part.end == total:
                answer = await self._exchange("PUT", key, ranged, body[start:])
            else:
                told = f"after {start} of {total} bytes"
                answer = await self._step("PUT", key, ranged, body[start : part.end], told)
            nowhere = nowhere + 1 if answer.status == 409 else 0
            if nowhere == _NOWHERE:
                told = "the other engine does not keep the parts"
                raise RetryableError(error("CAREBUS-BROKEN", told))

    def _offset(self, answer: Answer, key: str, total: int) -> int | None:
        """From where on bytes are missing; None for an answer that says something else."""
        if answer.header(wire.OUTCOME) not in (Answered.PART, Answered.READY):
            return None
        self._is_ours(answer, key)
        text = answer.header(wire.OFFSET) or ""
        if not (text.isascii() and text.isdigit() and int(text[:16]) <= total):
            told = "the other engine tells no place to go on"
            raise RetryableError(error("CAREBUS-BAD-ANSWER", told))
        return int(text)

    async def _step(
        self, method: str, key: str, headers: dict[str, str], body: bytes, told: str
    ) -> Answer:
        """An exchange that delivers nothing yet: its unknown outcome is a known one."""
        try:
            return await self._exchange(method, key, headers, body)
        except UncertainError as broken:
            info = error("CAREBUS-BROKEN", f"the transfer broke off {told}: {broken.info.summary}")
            raise RetryableError(info) from None

    async def _exchange(
        self, method: str, key: str, headers: dict[str, str], body: bytes
    ) -> Answer:
        head = self._client.head(method, wire.address(self._settings.channel, key), headers)
        try:
            return await self._client.exchange(head, body)
        except UncertainError as unknown:
            bad = unknown.info.code == "CAREBUS-BAD-ANSWER"
            code = "CAREBUS-BAD-ANSWER" if bad else "CAREBUS-NO-ANSWER"
            raise UncertainError(error(code, unknown.info.summary)) from None

    def _is_ours(self, answer: Answer, key: str) -> None:
        """Return when an engine answered, and about this delivery.

        Raises RetryableError when the answer was made before anybody read the request (a full
        listener, a proxy), UncertainError when it proves nothing.
        """
        if answer.header(wire.LINK) is None:
            if answer.status == 503:
                raise self._busy(answer, "CAREBUS-BUSY", "there is no place for a connection")
            told = f"what answered {answer.status} is no engine"
            raise UncertainError(error("CAREBUS-BAD-ANSWER", told))
        if (answer.header(wire.DELIVERY) or "") != key:
            told = "the answer is about another delivery"
            raise UncertainError(error("CAREBUS-BAD-ANSWER", told))

    def _judged(self, answer: Answer, key: str) -> Delivered:
        """Delivered, or what the answer means as an error."""
        self._is_ours(answer, key)
        outcome = answer.header(wire.OUTCOME) or ""
        remote = answer.header(wire.MESSAGE)
        if outcome in (Answered.ACCEPTED, Answered.READY):
            return Delivered(remote_id=remote)
        if outcome == Answered.DUPLICATE:
            told_twice = orjson.dumps({"outcome": outcome, "message": remote})
            return Delivered(Payload(told_twice, "application/json"), remote)
        for known, (code, summary) in _NEVER.items():
            if outcome == known:
                theirs = _words(answer)
                raise RejectedError(error(code, f"{summary}{theirs[1]}", peer_code=theirs[0]))
        for known, (code, summary) in _LATER.items():
            if outcome == known:
                raise self._busy(answer, code, summary)
        told = f"the other engine answered {answer.status}, which this version does not know"
        raise UncertainError(error("CAREBUS-BAD-ANSWER", told))

    def _busy(self, answer: Answer, code: str, summary: str) -> RetryableError:
        theirs = _words(answer)
        wait = retry_after(answer.header("retry-after"), self._services.now())
        info = error(code, f"{summary}{theirs[1]}", peer_code=theirs[0])
        return RetryableError(info, after=wait)


def _words(answer: Answer) -> tuple[str, str]:
    """The other engine's code (else the status), and what it says of it."""
    try:
        told = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or not told.get("code"):
        return str(answer.status), ""
    summary = "".join(filter(str.isprintable, str(told.get("summary", ""))))[:_TOLD]
    return str(told["code"])[:_TOLD], f": {summary}" if summary else ""
