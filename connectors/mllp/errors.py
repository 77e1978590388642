"""Every error code of the connector, with what it means and what to do."""

from __future__ import annotations

from typing import Final

from engine.contract import ErrorCode, ErrorInfo, Stage

ERRORS: Final = (
    ErrorCode(
        "MLLP-LISTEN",
        "the address cannot be listened on",
        "another program may hold the port (`ss -ltnp`), or the host is not one of this machine",
    ),
    ErrorCode(
        "MLLP-TOO-LARGE",
        "a message was larger than the channel's `limits.message`; it was answered with AR",
        "raise `limits: {message: …}` when such messages are wanted",
    ),
    ErrorCode(
        "MLLP-LATE",
        "the engine did not accept a message within `acknowledge_timeout`",
        "look at the store and the disk; the sending system was told to send again",
    ),
    ErrorCode(
        "MLLP-CONNECT",
        "the receiving system cannot be reached",
        "check host and port, the firewall, and that the receiving system listens",
    ),
    ErrorCode(
        "MLLP-TLS",
        "the TLS handshake failed",
        "check the certificates, their dates, the `ca` on both sides, and that both use TLS",
    ),
    ErrorCode(
        "MLLP-LOST",
        "the connection was gone before the message was sent",
        "nothing to do: the engine opens it again",
    ),
    ErrorCode(
        "MLLP-NAK",
        "the receiving system answered AE or CE",
        "the reply is kept with the delivery: its ERR or MSA-3 says what is wrong",
    ),
    ErrorCode(
        "MLLP-REJECTED",
        "the receiving system answered AR or CR: it will never take this message",
        "the reply is kept with the delivery; mend the mapping or the receiver, then replay",
    ),
    ErrorCode(
        "MLLP-NO-REPLY",
        "no acknowledgement of this message came within `reply_timeout`",
        "ask the receiving system whether it has the message, then replay or cancel",
    ),
    ErrorCode(
        "MLLP-REPLY-LOST",
        "the connection ended after the message was sent and before its acknowledgement",
        "ask the receiving system whether it has the message, then replay or cancel",
    ),
    ErrorCode(
        "MLLP-BAD-REPLY",
        "what came back is not an acknowledgement",
        "ask the receiving system whether it has the message, then replay or cancel",
    ),
    ErrorCode(
        "MLLP-UNFRAMABLE",
        "the message holds 0x1C 0x0D, which would end its frame early; nothing was sent",
        "remove these bytes in the mapping, or write them as an HL7 escape",
    ),
    ErrorCode(
        "MLLP-NO-CONTROL-ID",
        "the message has no MSH-10 by which its acknowledgement could be told; nothing was sent",
        "fill MSH-10 in the mapping, or set `match_control_id: false`",
    ),
)

_HELP: Final = {row.code: row.help for row in ERRORS}


def error(code: str, summary: str, stage: Stage, *, peer_code: str | None = None) -> ErrorInfo:
    """An ErrorInfo with the help of its code.  ``summary`` must hold no clinical value."""
    return ErrorInfo(code, summary, stage, peer_code=peer_code, help=_HELP[code])
