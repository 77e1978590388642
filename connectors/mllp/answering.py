"""What a sending system is told about one of its messages, as a frame ready to write."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from itertools import count

from connectors.mllp.framing import frame
from engine.contract import FormatError, Receipt
from engine.formats.hl7v2 import Hl7Message, parse
from engine.formats.hl7v2.acknowledgement import acknowledge


class Answers:
    """Builds answers with control ids (MSH-10) of their own, unique over restarts."""

    __slots__ = ("_charset", "_now", "_numbers")

    def __init__(self, *, charset: str | None, now: Callable[[], datetime]) -> None:
        self._charset = charset
        self._now = now
        self._numbers = count(time.time_ns() // 1000)

    def answer(self, body: bytes, receipt: Receipt) -> bytes | None:
        """The framed answer to ``body``; None when its sender wants none (MSH-15, MSH-16).

        The receipt's own reply is sent as it is; otherwise an acknowledgement is built, for an
        unreadable message as far as that is possible.
        """
        if receipt.reply is not None:
            return _framed(receipt.reply.body)
        message: Hl7Message | None
        try:
            message = parse(body, self._charset)
        except FormatError:
            message = None
        control_id = str(next(self._numbers))
        answer = acknowledge(message, receipt, now=self._now(), control_id=control_id, body=body)
        return None if answer is None else _framed(answer)


def _framed(answer: bytes) -> bytes:
    try:
        return frame(answer)
    except ValueError:
        # An MSH-10 that ends in 0x1C comes back in MSA-2 before a CR.  A blank there costs this
        # sender the match; the bytes as they are would cost it the framing.
        return frame(answer.replace(b"\x1c", b" "))
