"""Strict validation of one channel's documents, beside the event loop.

What is found is an error with places and without values; the channel's level says what follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from engine.config.model import Channel, Validation
from engine.contract import Document, ErrorInfo, FormatError, Payload, Stage
from engine.formats.findings import Finding

_SHOWN: Final = 8


class Validating:
    """One channel's.  Documents are checked one at a time, in a thread: their senders wait, and
    nobody else does."""

    def __init__(self, channel: Channel, validation: Validation, stage: Stage) -> None:
        self._channel = channel
        self._validation = validation
        self._stage = stage
        self._turn = asyncio.Lock()

    @property
    def rejects(self) -> bool:
        return self._validation.level == "reject"

    async def check(self, document: Document) -> ErrorInfo | None:
        """None when the document is valid."""
        async with self._turn:
            found = await asyncio.to_thread(self._validation.validator, document)
        return invalid(found, self._stage) if found else None

    async def check_payload(self, payload: Payload) -> ErrorInfo | None:
        """The same for what was written.  Raises nothing: what cannot be read back is invalid."""
        channel = self._channel
        try:
            document = channel.format.parse(payload, charset=channel.charset)
        except FormatError as error:
            return invalid((Finding("", error.info.summary),), self._stage)
        return await self.check(document)


def invalid(findings: Sequence[Finding], stage: Stage) -> ErrorInfo:
    """What is stored, shown and told: the first findings, and the place of the very first."""
    shown = [str(finding) for finding in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        shown.append(f"and {len(findings) - _SHOWN} more")
    inbound = stage is Stage.RECEIVING
    return ErrorInfo(
        "FLOW-INVALID" if inbound else "FLOW-INVALID-OUTPUT",
        "; ".join(shown),
        stage,
        location=findings[0].place or None,
        help=_HELP_INBOUND if inbound else _HELP_OUTBOUND,
    )


_HELP_INBOUND: Final = "the sender breaks the rules of its format; see validate: of the channel"
_HELP_OUTBOUND: Final = "mend the mapping and replay; see validate: of the channel"
