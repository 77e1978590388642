"""Batches: files of many messages, with or without their headers (HL7 2.5.1 ch. 2.10.3).

``[FHS] { [BHS] { MSH … } [BTS] } [FTS]`` and plain concatenation are both read; each message keeps
its own bytes.  Nothing is decoded: every separator that matters here is ASCII in every character
set but UTF-16 and UTF-32, which are recoded to UTF-8 first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from engine.formats.errors import format_error
from engine.formats.hl7v2.decoding import decode

_START: Final = re.compile(
    rb"(?:\A|(?<=[\r\n]))[ \t\x0b\x1c]*(MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s])"
)
_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Batch:
    """``messages`` in order.  ``declared`` is the sum of the counts in the BTS segments, None when
    no trailer counts: a difference means that the file was cut."""

    messages: tuple[bytes, ...] = field(repr=False)
    declared: int | None = None

    @property
    def complete(self) -> bool:
        return self.declared is None or self.declared == len(self.messages)


def is_batch(body: bytes) -> bool:
    """Whether `parse` would refuse this body because it holds more, or other, than one message."""
    starts = _START.finditer(body)
    first = next(starts, None)
    return first is not None and (first[1] != b"MSH" or next(starts, None) is not None)


def split_batch(body: bytes) -> Batch:
    """A single message is a batch of one.  Raises FormatError (HL7-HEADER) when there is something
    else before the first header, or nothing at all."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:8]:
        body = decode(body, None)[0].encode()
    body = body.removeprefix(_MARK)
    starts = list(_START.finditer(body))
    if not starts or body[: starts[0].start()].strip():
        raise format_error("HL7-HEADER")
    messages: list[bytes] = []
    declared: int | None = None
    ends = [*(start.start() for start in starts[1:]), len(body)]
    for start, end in zip(starts, ends, strict=True):
        segment = body[start.start(1) : end]
        if start[1] == b"MSH":
            messages.append(segment.removesuffix(b"\x1c\r"))
        elif start[1] == b"BTS":
            count = re.match(rb"\s*(\d{1,9})", segment[4:])
            if count:
                declared = (declared or 0) + int(count[1])
    return Batch(tuple(messages), declared)
