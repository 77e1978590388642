"""Every error code of the link, with what it means and what to do."""

from __future__ import annotations

from typing import Final

from connectors.webclient.errors import client_errors
from engine.contract import ErrorCode, ErrorInfo, Stage

_OWN: Final = (
    ErrorCode(
        "CAREBUS-NO-ANSWER",
        "the message left and no whole answer came back in time",
        "nothing to do: it is sent again, and the other engine ignores a second copy",
    ),
    ErrorCode(
        "CAREBUS-BAD-ANSWER",
        "what answered is no engine, or answered about something else",
        "check that the address is the other engine's own and no proxy's",
    ),
    ErrorCode(
        "CAREBUS-BROKEN",
        "the transfer of a large message broke off; it goes on where it stopped",
        "nothing to do unless it lasts; then make `part` smaller or `timeout` longer",
    ),
    ErrorCode(
        "CAREBUS-BUSY",
        "the other engine says: not now",
        "look at the other engine: its disk, its store, its backlog",
    ),
    ErrorCode(
        "CAREBUS-REJECTED",
        "the channel over there will never take this message",
        "find it among the rejected messages of the other engine; mend the mapping, then replay",
    ),
    ErrorCode(
        "CAREBUS-FORBIDDEN",
        "the other engine knows our certificate and does not let it send; the message waits",
        "add our certificate's name to `peers` of the inbound channel over there",
    ),
    ErrorCode(
        "CAREBUS-NO-CHANNEL",
        "the other engine has no such channel at this address; the message waits",
        "compare `channel` and the port with the inbound channel over there",
    ),
    ErrorCode(
        "CAREBUS-VERSION",
        "the two engines speak different versions of the link; the message waits",
        "update the older engine",
    ),
    ErrorCode(
        "CAREBUS-TOO-LARGE",
        "the message is larger than the channel over there takes",
        "raise `limits: {message: …}` of the inbound channel, then replay",
    ),
    ErrorCode(
        "CAREBUS-MALFORMED",
        "the request is not one that an engine makes",
        "report it: one of the two engines has a defect, or something between changed the bytes",
    ),
    ErrorCode(
        "CAREBUS-CIRCLE",
        "the message came through so many engines that it must go round in a circle",
        "look at the routes of the engines in its trace",
    ),
    ErrorCode(
        "CAREBUS-NO-ROOM",
        "no room for large messages that have not arrived whole",
        "raise `spool` of the inbound channel, or free the disk",
    ),
    ErrorCode(
        "CAREBUS-INSECURE",
        "the TLS settings let peers in that show no certificate",
        "set `require_client_certificate: true` and `ca` in the TLS settings",
    ),
    ErrorCode(
        "CAREBUS-LISTEN",
        "the port could not be taken",
        "find out what listens there (ss -ltnp); two channels cannot share a port",
    ),
)
# Of the codes that sending over HTTP has, the link meets these; the others it knows better.
_CLIENT: Final = ("CAREBUS-CONNECT", "CAREBUS-TLS")

ERRORS: Final = (
    *(row for row in client_errors("CAREBUS") if row.code in _CLIENT),
    *_OWN,
)

_HELP: Final = {row.code: row.help for row in ERRORS}


def error(
    code: str, summary: str, stage: Stage = Stage.SENDING, *, peer_code: str | None = None
) -> ErrorInfo:
    """An ErrorInfo with the help of its code.  ``summary`` must hold no clinical value."""
    return ErrorInfo(code, summary, stage, peer_code=peer_code, help=_HELP[code])
