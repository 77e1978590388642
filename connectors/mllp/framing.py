"""MLLP framing: bytes to messages and back, without any I/O.

A frame is VT (0x0B), the message, FS (0x1C), CR (0x0D); HL7 Implementation Guide, appendix C,
"Minimal Lower Layer Protocol".  Real senders leave the CR away, or send a few bytes between
frames (CR, LF, NUL as a sign of life); both are tolerated.  A message may contain VT, and FS that
neither CR nor VT follows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_VT: Final = 0x0B
_CR: Final = 0x0D
_START: Final = b"\x0b"
_FS: Final = b"\x1c"
_END: Final = b"\x1c\r"
_SIGNS_OF_LIFE: Final = b"\r\n\x00"

JUNK_LIMIT: Final = 4096
"""Bytes outside of frames that are tolerated between two frames; CR, LF and NUL do not count."""

END_WAIT: Final = 0.25
"""Seconds of silence after an FS after which its frame is taken to lack the CR."""

HEAD: Final = 1024
"""Bytes of an oversize message that are kept, so that its sender can be answered."""


class FramingError(Exception):
    """The peer does not speak MLLP.  Holds no content."""


@dataclass(frozen=True, slots=True)
class Oversize:
    """A message above the limit: its beginning, and how many bytes it had."""

    head: bytes = field(repr=False)
    size: int


Frame = bytes | Oversize


def frame(body: bytes) -> bytes:
    """The message as it goes on the wire.  Raises ValueError when it cannot be framed."""
    if _END in body:
        raise ValueError("0x1C 0x0D inside of the message")
    return b"".join((_START, body, _END))


class Deframer:
    """Feed it what arrives, in pieces of any size; it gives whole messages.

    Holds at most ``limit`` bytes and one piece.  A message above ``limit`` is given as `Oversize`
    when its end has come; what is beyond ``HEAD`` is never kept.  Takes time linear in the bytes
    fed.  Not for concurrent use.
    """

    __slots__ = ("_buffer", "_head", "_inside", "_junk", "_limit", "_searched", "_skipped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()  # of the message that is being read, without its VT
        self._searched = 0  # no end of the frame before this index of the buffer
        self._inside = False
        self._junk = 0
        self._head: bytes | None = None  # not None: skipping an oversize message
        self._skipped = 0

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._inside

    @property
    def at_end_mark(self) -> bool:
        """Whether the last byte fed was an FS that may or may not end the frame."""
        return self._inside and self._buffer.endswith(_FS)

    def feed(self, data: bytes) -> list[Frame]:
        """The messages that ``data`` completes, in order.

        Raises FramingError when more than ``JUNK_LIMIT`` bytes came outside of frames; the
        connection is of no more use then.
        """
        if not self._inside and data[:1] == _START and data[-1:] == b"\r":
            # The usual case, a piece that is exactly one frame, is taken without a second copy.
            end = len(data) - 2
            if data.find(_FS) == end and end - 1 <= self._limit:
                self._junk = 0
                return [data[1:end]]
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at = 0  # everything before it is done with
        while True:
            if not self._inside:
                at = self._find_start(at)
                if not self._inside:
                    break
                self._searched = at
            end = self._find_end()
            if end < 0:
                break
            frames.append(self._complete(at, end))
            self._inside = False
            at = end + (2 if buffer[end + 1] == _CR else 1)
        del buffer[:at]
        self._searched = max(0, self._searched - at)
        if self._inside:
            self._bound()
        return frames

    def finish(self) -> list[Frame]:
        """The peer is silent after an FS, or sends no more: a frame that only lacks its CR is
        complete.  Returns it, or nothing."""
        if not self.at_end_mark:
            return []
        done = self._complete(0, len(self._buffer) - 1)
        self._buffer.clear()
        self._inside = False
        return [done]

    def _find_start(self, at: int) -> int:
        """Outside of a frame: the index after the next VT (then inside), or of the end."""
        start = self._buffer.find(_START, at)
        stop = start if start >= 0 else len(self._buffer)
        if stop > at:
            self._junk += len(self._buffer[at:stop].translate(None, _SIGNS_OF_LIFE))
            if self._junk > JUNK_LIMIT:
                raise FramingError("too many bytes outside of frames")
        if start < 0:
            return stop
        self._inside = True
        self._junk = 0
        return start + 1

    def _find_end(self) -> int:
        """The index of the FS that ends the frame, or -1; never searches a byte twice."""
        buffer = self._buffer
        at = buffer.find(_FS, self._searched)
        while 0 <= at < len(buffer) - 1:
            if buffer[at + 1] in (_CR, _VT):
                return at
            at = buffer.find(_FS, at + 1)
        self._searched = at if at >= 0 else len(buffer)
        return -1

    def _complete(self, start: int, end: int) -> Frame:
        body = bytes(memoryview(self._buffer)[start:end])
        if self._head is not None:
            done = Oversize(self._head, self._skipped + len(body))
            self._head = None
            self._skipped = 0
            return done
        return body if len(body) <= self._limit else Oversize(body[:HEAD], len(body))

    def _bound(self) -> None:
        """Keep the buffer bounded: of a message above the limit only the beginning is kept."""
        mark = _FS if self._buffer.endswith(_FS) else b""
        size = len(self._buffer) - len(mark)
        if self._head is None:
            if size <= self._limit:
                return
            self._head = bytes(self._buffer[: min(HEAD, size)])
        self._skipped += size
        self._buffer[:] = mark
        self._searched = 0
