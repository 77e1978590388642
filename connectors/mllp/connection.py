"""One sending system's connection: frames in, one accept at a time, one answer each, in order.

States are few on purpose: a connection serves until its peer has sent all and is answered, its
peer is gone, it is told to stop, or it breaks the framing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from datetime import timedelta
from typing import Any, Protocol

from connectors.mllp.errors import error
from connectors.mllp.framing import END_WAIT, Deframer, Frame, FramingError, Oversize
from connectors.mllp.sockets import keep_alive
from engine.contract import Inbound, Outcome, Payload, Receipt, Stage


class Site(Protocol):
    """What connections share: the source that listens."""

    message_limit: int
    log: Any
    tls: ssl.SSLContext | None
    handshake_timeout: timedelta

    def forget(self, connection: Connection) -> None:
        """It is over: its socket is closed and its task has ended."""

    async def offer(self, inbound: Inbound) -> Receipt:
        """Accept, paced and within the acknowledge time-out."""

    def inbound(self, body: bytes, peer: str) -> Inbound: ...
    def answer(self, body: bytes, receipt: Receipt) -> bytes | None: ...


class Connection(asyncio.Protocol):
    """Owned by its site from its making to `Site.forget`; ``task`` serves it.

    While a message is in work, at most the piece that arrived last is held and reading pauses:
    that is how a sender that does not wait for answers is made to wait.
    """

    def __init__(self, site: Site, accepted: socket.socket, peer: str) -> None:
        self._site = site
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._deframer = Deframer(site.message_limit)
        self._frames: deque[Frame] = deque()
        self._news: asyncio.Future[None] | None = None  # what the idle task waits on
        self._writable = asyncio.Event()
        self._writable.set()
        self._end_timer: asyncio.TimerHandle | None = None
        self._transport: Any = None
        self._paused = False
        self._ended = False  # nothing more will come
        self._gone = False  # nothing more can be written
        self._lost = False  # the transport has let go
        self._stopping = False
        self._busy = True  # until the task first waits
        self.active_at = self._loop.time()
        self.task = self._loop.create_task(self._serve(accepted))
        self.task.add_done_callback(self._served)

    @property
    def idle_since(self) -> float | None:
        """Loop time of the last progress; None while a message is in work.

        Bytes in the middle of a message are none, so that a peer that sends one now and then
        does not hold its place for ever.
        """
        return None if self._busy else self.active_at

    # --- called by the transport ------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None
        if self._ended:
            return
        within = self._deframer.unfinished
        try:
            frames = self._deframer.feed(data)
        except FramingError as broken:
            self._site.log.warning("mllp connection closed", peer=self._peer, reason=str(broken))
            self._end()
            return
        if self._deframer.at_end_mark:
            self._end_timer = self._loop.call_later(END_WAIT, self._finish)
        if frames:
            self._frames.extend(frames)
            self._wake()
        if frames or not within:
            self.active_at = self._loop.time()
        if self._busy:
            self._pause()

    def eof_received(self) -> bool:
        # A peer may shut its sending side down and still wait for its answers.
        self._finish()
        if self._deframer.unfinished:
            self._site.log.warning("mllp message broken off", peer=self._peer)
        self._end()
        return self._site.tls is None  # TLS cannot be half closed

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._lost = True
        self._writable.set()
        self._end()
        if self.task.done():
            self._site.forget(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # --- called by the site -----------------------------------------------------------------

    def stop(self) -> None:
        """Take no more messages; the one in work may still be answered.  Ends when idle."""
        self._stopping = True
        self._frames.clear()
        self._pause()
        self._end()

    def expire(self) -> None:
        """It was idle for too long: end it, at the second call or when it does not read at once."""
        if self._stopping or not self._writable.is_set():
            self.abort()
        else:
            self.stop()

    def abort(self) -> None:
        """Drop the connection and whatever is in work, without an answer."""
        self._stopping = True
        self._gone = True
        if self._transport is not None:
            self._transport.abort()
        self.task.cancel()

    # --- the task ---------------------------------------------------------------------------

    async def _serve(self, accepted: socket.socket) -> None:
        if not await self._connected(accepted):
            return
        try:
            while await self._frame_waits():
                await self._exchange(self._frames.popleft())
        finally:
            if self._end_timer is not None:
                self._end_timer.cancel()
            self._transport.close()

    def _served(self, _task: asyncio.Task[None]) -> None:
        if self._lost:
            self._site.forget(self)

    async def _connected(self, accepted: socket.socket) -> bool:
        """Shake hands where TLS is spoken.  False when that failed; the socket is closed then."""
        tls = self._site.tls
        wait = self._site.handshake_timeout.total_seconds() if tls is not None else None
        done = False
        try:
            await self._loop.connect_accepted_socket(
                lambda: self, accepted, ssl=tls, ssl_handshake_timeout=wait
            )
            done = True
        except (OSError, TimeoutError) as refused:
            reason = getattr(refused, "reason", None) or type(refused).__name__
            self._site.log.warning("mllp tls refused", peer=self._peer, reason=str(reason))
        finally:
            if not done:
                self._gone = self._lost = True
                accepted.close()
        return done

    async def _frame_waits(self) -> bool:
        """Return True when there is a frame to work on, False when none will ever come."""
        while not self._frames:
            if self._ended:
                return False
            self._resume()
            self._busy = False
            self._news = self._loop.create_future()
            try:
                await self._news
            finally:
                self._news = None
                self._busy = True
        return True

    async def _exchange(self, frame: Frame) -> None:
        if isinstance(frame, Oversize):
            self._site.log.warning("mllp message too large", peer=self._peer, size=frame.size)
            body, receipt = frame.head, _too_large(self._site.message_limit)
        else:
            body = frame
            receipt = await self._site.offer(self._site.inbound(body, self._peer))
        if self._gone:
            return
        answer = self._site.answer(body, receipt)
        if answer is not None:
            self._transport.write(answer)
            self.active_at = self._loop.time()
            if not self._writable.is_set():  # a peer that does not read its answers is idle
                self._busy = False
                await self._writable.wait()
                self._busy = True

    # --- small steps ------------------------------------------------------------------------

    def _finish(self) -> None:
        """Silence or the end: a trailing FS ends its frame."""
        self._end_timer = None
        self._frames.extend(self._deframer.finish())
        self._wake()

    def _end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _pause(self) -> None:
        ready = self._transport is not None and not self._gone
        if ready and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self._gone and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()


def _too_large(limit: int) -> Receipt:
    summary = f"larger than {limit} bytes"
    return Receipt(Outcome.REJECTED, error=error("MLLP-TOO-LARGE", summary, Stage.RECEIVING))


def payload(body: bytes, charset: str | None) -> Payload:
    """An HL7 v2 message as it came."""
    return Payload(body, "application/hl7-v2", charset)
