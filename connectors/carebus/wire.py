"""How two engines talk: the addresses, headers and digests of a link (docs/links.md), version 1.

Pure, and used by both sides, so that they cannot differ.  A link is HTTP/1.1 (RFC 9112): PUT of a
message under an address that names its delivery, whole or in parts (RFC 9110, 14.4 and 14.5).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote

VERSION: Final = "1"
LINK: Final = "carebus-link"
"""Header of every request and answer: the version of the link that is spoken."""
OUTCOME: Final = "carebus-outcome"
DELIVERY: Final = "carebus-delivery"  # of an answer: which delivery it is about
MESSAGE: Final = "carebus-message"  # of an answer: its id in the store of the engine that answers
OFFSET: Final = "carebus-offset"  # of an answer: how many bytes of the transfer are safe
CHANNEL: Final = "carebus-channel"  # of a request: where the message came in first
ACCEPTED_AT: Final = "carebus-accepted-at"  # of a request, by the sending engine's clock
TRACE: Final = "carebus-trace"  # of a request: the ids on its way here, the first engine's first
DUPLICATE: Final = "carebus-possible-duplicate"
DIGEST: Final = "repr-digest"  # RFC 9530

LONGEST_WAY: Final = 16  # engines; a message that comes by more goes round in a circle
_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_ADDRESS: Final = re.compile(
    r"/link/([a-z][a-z0-9]*(?:[_-][a-z0-9]+)*)(?:/([0-9A-Za-z-]{1,64}\.[0-9a-f]{16}))?"
)
_RANGE: Final = re.compile(r"bytes (?:(\d{1,15})-(\d{1,15})|\*)/(\d{1,15})")
_SHA256: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class Answered(StrEnum):
    """What `OUTCOME` says, and with it what becomes of the delivery."""

    ACCEPTED = "accepted"  # stored over there
    DUPLICATE = "duplicate"  # stored over there by an earlier attempt
    REJECTED = "rejected"  # the channel over there will never take it
    UNAVAILABLE = "unavailable"  # not now
    PART = "part"  # so much of it is safe: see OFFSET
    READY = "ready"  # a question was answered
    FORBIDDEN = "forbidden"  # this certificate may not send here
    NO_CHANNEL = "no-channel"  # the channel is not here
    VERSION = "version"  # the two speak different versions
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    CIRCLE = "circle"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start`` to ``end`` (not with it) of ``total``; nothing when they are equal: a request
    to finish a transfer whose bytes are all there."""

    start: int
    end: int
    total: int

    def header(self) -> str:
        """Of Content-Range."""
        if self.start == self.end:
            return f"bytes */{self.total}"
        return f"bytes {self.start}-{self.end - 1}/{self.total}"


def delivery_key(message_id: str, target: str) -> str:
    """The name of a delivery for every attempt: the message's id at the sender, and which of its
    targets.  Two targets of one message are two deliveries, even by one link."""
    return f"{message_id}.{hashlib.blake2b(target.encode(), digest_size=8).hexdigest()}"


def address(channel: str, key: str = "") -> str:
    """The path of a channel, or of a delivery to it."""
    return f"/link/{channel}/{key}" if key else f"/link/{channel}"


def read_address(path: str) -> tuple[str, str] | None:
    """Channel and key ("" for the channel itself); None for everything that `address` never
    gives, so that no path leads anywhere else."""
    match = _ADDRESS.fullmatch(path)
    return (match[1], match[2] or "") if match is not None else None


def read_part(header: str, length: int) -> Part | None:
    """A Content-Range whose body has ``length`` bytes; None when it is none, or does not fit."""
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    total = int(match[3])
    if match[1] is None:
        return Part(total, total, total) if length == 0 else None
    part = Part(int(match[1]), int(match[2]) + 1, total)
    fits = part.start < part.end <= total and part.end - part.start == length
    return part if fits else None


def digest_header(body: bytes) -> str:
    """Of Repr-Digest."""
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def read_digest(header: str) -> bytes | None:
    """The SHA-256 that the header names, or None."""
    match = _SHA256.fullmatch(header)
    return b64decode(match[1]) if match is not None else None


def trace_header(trace: Iterable[str]) -> str:
    """Of Carebus-Trace; ids that could not be in a header are left out."""
    return ",".join(id for id in trace if _ID.fullmatch(id))


def read_trace(header: str) -> tuple[str, ...] | None:
    """The ids; None for what is no trace."""
    ids = tuple(header.split(",")) if header else ()
    return ids if all(_ID.fullmatch(id) for id in ids) else None


def quoted(text: str) -> str:
    """Text that may be any in a header."""
    return quote(text, safe=" /:+=")


def unquoted(text: str) -> str:
    """What `quoted` was given; at most 200 characters."""
    return unquote(text)[:200]


def compressed(body: bytes) -> bytes | None:
    """gzip (RFC 1952) without a time, so that equal bodies are equal on every attempt; None when
    that saves less than a tenth."""
    press = zlib.compressobj(level=1, wbits=31)
    small = press.compress(body) + press.flush()
    return small if len(small) < len(body) * 9 // 10 else None


def expanded(body: bytes, limit: int) -> bytes | None:
    """What `compressed` was given; None when that has more than ``limit`` bytes, whatever the
    rest of ``body`` would still grow to.  Raises ValueError when it is not gzip, or not whole."""
    press = zlib.decompressobj(wbits=31)
    try:
        content = press.decompress(body, limit + 1)
    except zlib.error:
        raise ValueError("this is not gzip") from None
    if len(content) > limit:
        return None
    if not press.eof or press.unused_data:
        raise ValueError("the gzip stream is not whole")
    return content
