"""The sending side: `MllpDestination`, an `engine.contract.Destination`."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from connectors.mllp.errors import error
from connectors.mllp.framing import frame
from connectors.mllp.line import Garbled, Line, connect
from connectors.mllp.settings import MllpSenderSettings
from engine.contract import (
    Check,
    Delivered,
    FormatError,
    NotConnected,
    Outbound,
    Payload,
    RejectedError,
    RetryableError,
    Services,
    Stage,
    UncertainError,
)
from engine.formats.hl7v2 import parse
from engine.formats.hl7v2.acknowledgement import Acknowledgement, read_acknowledgement

_LINE_END: Final = re.compile(rb"[\r\n]")


class MllpDestination:
    """One kept connection, one message in flight, in the order of the calls.

    ``open`` connects.  A connection on which anything but the awaited reply happened (time-out,
    cancellation, unreadable reply) is dropped and never used again; sends then raise NotConnected
    until it is opened anew.
    """

    def __init__(self, settings: MllpSenderSettings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._log: Any = services.log
        self._line: Line | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connect.  Raises NotConnected, or ConfigError for TLS files."""
        await self._drop(timedelta())
        self._line = await connect(self._settings, self._tls(), self._services.limits.message)

    async def close(self, grace: timedelta) -> None:
        """Let the message in flight have its reply within ``grace``, then end the connection."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace.total_seconds()
        try:
            async with asyncio.timeout_at(end), self._turn:
                pass
        except TimeoutError:
            pass
        await self._drop(timedelta(seconds=max(0.0, end - loop.time())))

    async def send(self, outbound: Outbound) -> Delivered:
        """Write one frame and await its acknowledgement (see the connector's notes)."""
        body = outbound.payload.body
        charset = outbound.payload.charset or self._services.charset
        wire, control_id = self._prepared(body, charset)
        async with self._turn:
            # One turn of the loop: what the system already knows of the connection's end is
            # seen before the message leaves, so that it is NotConnected and not an unknown outcome.
            await asyncio.sleep(0)
            line = self._line
            if line is None or line.lost:
                summary = "the connection is gone; nothing was sent"
                raise NotConnected(error("MLLP-LOST", summary, Stage.SENDING))
            for reply in line.idle_replies():
                self._unexpected(reply, charset)
            settled = False
            try:
                reply, answer = await self._exchange(line, wire, control_id, charset)
                settled = True
            finally:
                if not settled:
                    line.abort()
        return self._verdict(reply, answer, charset)

    async def check(self) -> Sequence[Check]:
        """Connect, shake hands where TLS is set, and leave.  Sends no message."""
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            line = await connect(self._settings, self._tls(), self._services.limits.message)
        except NotConnected as failure:
            return [Check("connect", False, f"{failure.info.summary}; {failure.info.help}")]
        await line.close(timedelta(seconds=1))
        how = "over tls" if self._settings.tls is not None else "without tls"
        return [Check("connect", True, f"{where} {how}")]

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._settings.tls
        return None if tls is None else self._services.tls(tls, server=False)

    def _prepared(self, body: bytes, charset: str | None) -> tuple[bytes, str]:
        """The frame, and the MSH-10 its reply must name; '' when any reply counts."""
        try:
            wire = frame(body)
        except ValueError:
            summary = "the message holds 0x1C 0x0D"
            raise RejectedError(error("MLLP-UNFRAMABLE", summary, Stage.SENDING)) from None
        if not self._settings.match_control_id:
            return wire, ""
        control_id = _control_id(body, charset)
        if not control_id:
            summary = "the message has no MSH-10"
            raise RejectedError(error("MLLP-NO-CONTROL-ID", summary, Stage.SENDING))
        return wire, control_id

    async def _exchange(
        self, line: Line, wire: bytes, control_id: str, charset: str | None
    ) -> tuple[bytes, Acknowledgement]:
        """Write, and wait for the reply to this message.  Raises UncertainError."""
        seconds = self._settings.reply_timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await line.write(wire)
            async with asyncio.timeout(seconds):
                while (reply := await line.reply()) is not None:
                    answer = read_acknowledgement(reply, charset)
                    if _about(answer, control_id):
                        return reply, answer
                    self._unexpected(reply, charset)
        except TimeoutError:
            raise self._uncertain("MLLP-NO-REPLY", f"no reply within {seconds:g} s") from None
        except (FormatError, Garbled):
            summary = "the reply is not an acknowledgement"
            raise self._uncertain("MLLP-BAD-REPLY", summary) from None
        summary = "the connection ended before the reply"
        raise self._uncertain("MLLP-REPLY-LOST", summary)

    @staticmethod
    def _uncertain(code: str, summary: str) -> UncertainError:
        return UncertainError(error(code, summary, Stage.SENDING))

    @staticmethod
    def _verdict(reply: bytes, answer: Acknowledgement, charset: str | None) -> Delivered:
        if answer.positive:
            return Delivered(Payload(reply, "application/hl7-v2", charset))
        if answer.rejected:
            summary = "the receiving system rejected the message"
            raise RejectedError(
                error("MLLP-REJECTED", summary, Stage.SENDING, peer_code=answer.code)
            )
        summary = "the receiving system could not take the message now"
        raise RetryableError(error("MLLP-NAK", summary, Stage.SENDING, peer_code=answer.code))

    def _unexpected(self, reply: bytes, charset: str | None) -> None:
        """A reply to something else: late, doubled, or enhanced mode's second one."""
        try:
            code = read_acknowledgement(reply, charset).code
        except FormatError:
            code = "unreadable"
        self._log.warning("mllp reply not asked for", peer_code=code)

    async def _drop(self, grace: timedelta) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close(grace)


def _control_id(body: bytes, charset: str | None) -> str:
    """MSH-10, or '' when there is none."""
    # The first segment is enough, and is readable when the rest is not; what is split wrongly here
    # (UTF-16) is read as a whole.
    for text in (_LINE_END.split(body, maxsplit=1)[0], body):
        try:
            return parse(text, charset).control_id.strip()
        except FormatError:
            continue
    return ""


def _about(answer: Acknowledgement, control_id: str) -> bool:
    """Whether the acknowledgement is for the message with this MSH-10 (MSA-2; HL7 2.5.1 2.14.8.2).

    A negative one without any MSA-2 comes from receivers that could not read the message; only one
    message waits for its reply on a connection, so it is ours.
    """
    if not control_id or answer.control_id == control_id:
        return True
    return not answer.control_id and not answer.positive
