"""The connection to a receiving system: whole replies in, and whether it is still there."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from typing import Any

from connectors.mllp.errors import error
from connectors.mllp.framing import END_WAIT, Deframer, Frame, FramingError, Oversize
from connectors.mllp.settings import MllpSenderSettings
from connectors.mllp.sockets import keep_alive
from engine.contract import NotConnected, Stage

_CLOSED_WITHIN = 0.5  # seconds for the transport to say so after an abort


class Garbled(Exception):
    """What came back is no MLLP frame, or a frame beyond the limit."""


class Line(asyncio.Protocol):
    """One connection.  Replies wait in order until they are read; nothing is written by itself."""

    def __init__(self, limit: int) -> None:
        self._deframer = Deframer(limit)
        self._replies: asyncio.Queue[bytes | None] = asyncio.Queue()  # None: no more will come
        self._garbled = False
        self._transport: Any = None
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._end_timer: asyncio.TimerHandle | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.set_write_buffer_limits(high=0)  # so that `write` knows when all has left
        keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._deframer.feed(data)
        except FramingError:
            self._spoil()
            return
        self._take(frames)
        self._cancel_timer()
        if self._deframer.at_end_mark:
            self._end_timer = asyncio.get_running_loop().call_later(END_WAIT, self._finish)

    def eof_received(self) -> None:
        self._finish()
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self._end()
        self._gone.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def idle_replies(self) -> list[bytes]:
        """Take what came without having been asked for."""
        replies = []
        while not self._replies.empty():
            reply = self._replies.get_nowait()
            if reply is not None:
                replies.append(reply)
        return replies

    async def write(self, wire: bytes) -> None:
        """Return when the system took every byte, or the connection is lost."""
        self._transport.write(wire)
        await self._writable.wait()

    async def reply(self) -> bytes | None:
        """The next reply; None when the connection has ended.  Raises Garbled."""
        reply = None if self.lost and self._replies.empty() else await self._replies.get()
        if reply is None and self._garbled:
            raise Garbled
        return reply

    def abort(self) -> None:
        """Drop it at once."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    async def close(self, grace: timedelta) -> None:
        """End it in good order within ``grace``, else drop it."""
        self.lost = True
        self._transport.close()
        for seconds in (grace.total_seconds(), _CLOSED_WITHIN):
            try:
                async with asyncio.timeout(seconds):
                    await self._gone.wait()
                return
            except TimeoutError:
                self._transport.abort()

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            if isinstance(frame, Oversize):
                self._spoil()
                return
            self._replies.put_nowait(frame)

    def _finish(self) -> None:
        """Silence or the end: a reply that only lacks its CR is whole."""
        self._take(self._deframer.finish())

    def _cancel_timer(self) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None

    def _spoil(self) -> None:
        self._garbled = True
        self._end()
        self._transport.abort()

    def _end(self) -> None:
        if not self.lost:
            self.lost = True
            self._replies.put_nowait(None)
        self._writable.set()


async def connect(settings: MllpSenderSettings, tls: ssl.SSLContext | None, limit: int) -> Line:
    """A new line to the receiving system.  Raises NotConnected; leaves nothing open then."""
    where = f"{settings.host}:{settings.port}"
    try:
        async with asyncio.timeout(settings.connect_timeout.total_seconds()):
            _, line = await asyncio.get_running_loop().create_connection(
                lambda: Line(limit),
                settings.host,
                settings.port,
                ssl=tls,
                server_hostname=settings.host if tls else None,
            )
    except ssl.SSLError as cause:
        reason = getattr(cause, "verify_message", "") or cause.reason or type(cause).__name__
        summary = f"tls handshake with {where} failed: {reason}"
        raise NotConnected(error("MLLP-TLS", summary, Stage.STARTING)) from cause
    except TimeoutError as cause:
        seconds = settings.connect_timeout.total_seconds()
        summary = f"{where} did not answer within {seconds:g} s"
        raise NotConnected(error("MLLP-CONNECT", summary, Stage.STARTING)) from cause
    except OSError as cause:
        summary = f"{where} cannot be reached: {cause.strerror or type(cause).__name__}"
        raise NotConnected(error("MLLP-CONNECT", summary, Stage.STARTING)) from cause
    return line
