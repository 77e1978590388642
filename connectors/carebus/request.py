"""What a peer asks for: one request of a link, judged by its line and headers alone.

Pure.  Everything that can be refused without reading the body is refused here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.carebus import wire
from connectors.carebus.wire import Answered, Part

_ENCODINGS: Final = ("", "identity", "gzip")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not read any further."""

    status: int
    answered: Answered
    code: str
    summary: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request that may go on.  ``key`` is "" for a question about the channel."""

    method: str  # GET or PUT
    key: str
    length: int
    headers: Mapping[str, str] = field(repr=False)
    trace: tuple[str, ...] = ()
    part: Part | None = None  # of a PUT that carries one part of a large message
    upload: str = ""  # names the transfer of a large message in the spool

    @property
    def gzip(self) -> bool:
        """The message is compressed."""
        return self.headers.get("content-encoding") == "gzip"


def read_request(
    scope: Mapping[str, Any],
    *,
    names: Sequence[str],
    peers: Sequence[str],
    channel: str,
    limit: int,
) -> Request | Refusal:
    """``names`` are of the peer's certificate; without ``peers`` everybody may ask.  ``limit``:
    bytes of a message."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1").strip() for name, value in scope["headers"]
    }
    if peers and not set(names) & set(peers):
        return Refusal(
            403, Answered.FORBIDDEN, "CAREBUS-FORBIDDEN", "this certificate may not send here"
        )
    spoken = headers.get(wire.LINK)
    if spoken is None:
        return _malformed("this is a link between Carebus engines")
    if spoken != wire.VERSION:
        told = f"this engine speaks version {wire.VERSION} of the link and no other"
        return Refusal(400, Answered.VERSION, "CAREBUS-VERSION", told)
    place = wire.read_address(scope["path"])
    if place is None or place[0] != channel or scope["query_string"]:
        return Refusal(404, Answered.NO_CHANNEL, "CAREBUS-NO-CHANNEL", "no such channel here")
    method, key = scope["method"], place[1]
    if method == "GET":
        return Request(method, key, 0, headers, upload=_upload(key, headers))
    if method != "PUT" or not key:
        return Refusal(405, Answered.MALFORMED, "CAREBUS-MALFORMED", "only GET and PUT")
    return _put(key, headers, limit)


def _put(key: str, headers: Mapping[str, str], limit: int) -> Request | Refusal:
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        return _malformed("a message comes with its length")
    if headers.get("content-encoding", "") not in _ENCODINGS:
        return _malformed("only gzip is known")
    trace = wire.read_trace(headers.get(wire.TRACE, ""))
    if trace is None:
        return _malformed("the trace is no list of ids")
    if len(trace) > wire.LONGEST_WAY:
        told = f"it came through more than {wire.LONGEST_WAY} engines"
        return Refusal(422, Answered.CIRCLE, "CAREBUS-CIRCLE", told)
    part, upload, size = None, "", int(length)
    if "content-range" in headers:
        part = wire.read_part(headers["content-range"], size)
        upload = _upload(key, headers)
        if part is None or not upload:
            return _malformed("a part comes with its range and the digest of the whole")
        size = part.total
    if size > limit:
        told = f"this channel takes messages of {limit} bytes"
        return Refusal(413, Answered.TOO_LARGE, "CAREBUS-TOO-LARGE", told)
    return Request("PUT", key, int(length), headers, trace, part, upload)


def _upload(key: str, headers: Mapping[str, str]) -> str:
    """The same content of the same delivery is the same transfer.  "" without a digest."""
    digest = wire.read_digest(headers.get(wire.DIGEST, ""))
    return hashlib.sha256(key.encode("ascii") + digest).hexdigest() if digest else ""


def _malformed(summary: str) -> Refusal:
    return Refusal(400, Answered.MALFORMED, "CAREBUS-MALFORMED", summary)
