"""The error codes of sending over HTTP: a bounded list that every such connector shares.

Imports no HTTP library, so that a spec may list them.
"""

from __future__ import annotations

from typing import Final

from engine.contract import ErrorCode

_TABLE: Final = (
    (
        "CONNECT",
        "the peer was not reached; nothing was sent",
        "check the host name, the port, the firewall and that the peer runs: carebus check",
    ),
    (
        "TLS",
        "the TLS handshake failed; nothing was sent",
        "check the certificate authority, the peer's certificate and the client certificate",
    ),
    (
        "NO-ANSWER",
        "the request left and no whole answer came back in time",
        "ask the peer's people whether the message arrived before sending it again",
    ),
    (
        "BAD-ANSWER",
        "the peer answered something that cannot be understood",
        "check that the address is the service's own, not a proxy's or a login page's",
    ),
    (
        "BUSY",
        "the peer says: not now",
        "nothing to do unless it lasts; then ask the peer's people",
    ),
    (
        "AUTH",
        "the peer does not accept the credentials; the message is kept and tried again",
        "check the channel's auth settings and whether the account has expired",
    ),
    (
        "MOVED",
        "the peer redirects to another address; redirects are not followed",
        "put the new address into the channel's url",
    ),
    (
        "REJECTED",
        "the peer says: never with this content",
        "look at the peer's answer in the message's history, mend the mapping, then replay",
    ),
)

HELP: Final = {name: advice for name, _, advice in _TABLE}


def client_errors(prefix: str) -> tuple[ErrorCode, ...]:
    """The codes for a connector's spec; ``prefix`` is the connector's: HTTP, FHIR."""
    return tuple(ErrorCode(f"{prefix}-{name}", text, advice) for name, text, advice in _TABLE)
