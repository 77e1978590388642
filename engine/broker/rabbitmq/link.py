"""One connection to the broker, kept open: the hosts in turn, back-off with jitter, heartbeats.

pika calls back on our event loop; this module turns that into awaiting, so that nothing beyond it
sees a callback that never comes.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection, _AsyncioIOServicesAdapter
from pika.exceptions import AMQPError

from engine.broker.rabbitmq.address import Address
from engine.contract import BrokerUnavailable, ErrorInfo, Stage

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
NOT_FOUND, PRECONDITION_FAILED = 404, 406


class _Io(_AsyncioIOServicesAdapter):  # type: ignore[misc]  # pika has no types
    """pika on our loop.  It leaves the socket of a refused connection to the garbage collector."""

    def connect_socket(self, sock: Any, resolved_addr: Any, on_done: Callable[[Any], None]) -> Any:
        def done(error: Any) -> None:
            if error is not None:
                sock.close()
            on_done(error)

        return super().connect_socket(sock, resolved_addr, done)


class ChannelEnded(Exception):
    """The broker or the network ended a channel; ``code`` is AMQP's reply code, 0 if none."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.code: int = getattr(reason, "reply_code", 0)


class Channel:
    """A channel of pika with answers to await.  ``ended`` becomes the reason when it is over."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.silent = False  # something was not answered: nothing else will be before it is
        self.ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(self._closed)

    def _closed(self, _channel: Any, reason: BaseException) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    async def ask(
        self, method: Callable[..., Any], *, within: float = ANSWER_SECONDS, **arguments: Any
    ) -> Any:
        """Call a method of the raw channel and return the broker's answer.

        Raises ChannelEnded, or BrokerUnavailable when there is no answer in time.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(frame: Any) -> None:
            if not answer.done():
                answer.set_result(frame)

        try:
            method(callback=answered, **arguments)
        except AMQPError as error:  # it is closed already
            raise ChannelEnded(self.ended.result() if self.ended.done() else error) from error
        await asyncio.wait(
            {answer, self.ended}, timeout=within, return_when=asyncio.FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        if self.ended.done():
            raise ChannelEnded(self.ended.result())
        self.silent = True
        raise unavailable("BROKER-SILENT", "the broker does not answer")

    def give_up(self) -> None:
        """Close it without waiting."""
        if not self.ended.done() and self.raw.is_open:
            self.raw.close()

    async def close(self) -> None:
        """Idempotent; returns when the broker knows, or after a while.  Does not wait for a channel
        that is silent."""
        self.give_up()
        if not self.ended.done() and not self.silent:
            await asyncio.wait({self.ended}, timeout=ANSWER_SECONDS)


class Link:
    """`run` is one task.  ``trouble`` says what is wrong now, None when nothing is."""

    def __init__(
        self, address: Address, tls: ssl.SSLContext | None, *, purpose: str, log: Any
    ) -> None:
        self._address = address
        self._tls = tls
        self._purpose = purpose
        self._log = log
        self._connection: Any = None
        self._up = asyncio.Event()
        self._free = asyncio.Event()  # no alarm holds us back
        self._free.set()
        # It tells each failure seven times over; what matters is told here, once.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self._turn = random.randrange(len(address.hosts))  # noqa: S311  (spread, no secret)
        self.trouble: ErrorInfo | None = None

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        failures = 0
        while True:
            try:
                ended = await self._connected()
            except (AMQPError, OSError, TimeoutError) as error:
                failures += 1
                self._failed(error, failures)
                self._turn += 1
                await asyncio.sleep(pause(failures))
                continue
            failures = 0
            try:
                await asyncio.wait({ended})  # awaited itself, it would be cancelled with us
            except asyncio.CancelledError:
                await self._closed(ended)
                raise
            finally:
                self._up.clear()
            self._turn += 1
            self._failed(ended.result(), 1)
            await asyncio.sleep(pause(1))

    async def channel(self, *, within: float | None = ANSWER_SECONDS) -> Channel:
        """A new channel; waits for the connection.  Raises BrokerUnavailable."""
        try:
            async with asyncio.timeout(within):
                while True:
                    await self._up.wait()
                    opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                    try:
                        raw = self._connection.channel(
                            on_open_callback=lambda raw, opened=opened: _set(opened, raw)
                        )
                    except AMQPError:
                        await asyncio.sleep(SHORTEST_PAUSE)  # it closes at this moment
                        continue
                    channel = Channel(raw)
                    await asyncio.wait({opened, channel.ended}, return_when=asyncio.FIRST_COMPLETED)
                    if opened.done():
                        return channel
        except TimeoutError:
            info = self.trouble
            raise (
                unavailable("BROKER-SILENT", "the broker does not answer")
                if info is None
                else BrokerUnavailable(info)
            ) from None

    async def _connected(self) -> asyncio.Future[BaseException]:
        """Connect to the host whose turn it is; the future is the reason when it ends."""
        address = self._address
        host, port = address.hosts[self._turn % len(address.hosts)]
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        ended: asyncio.Future[BaseException] = loop.create_future()
        parameters = pika.ConnectionParameters(
            host=host,
            port=port,
            virtual_host=address.vhost,
            credentials=pika.PlainCredentials(address.user, address.password),
            ssl_options=None
            if self._tls is None
            else pika.SSLOptions(self._tls, host if address.verify_host else None),
            heartbeat=address.heartbeat,
            connection_attempts=1,
            socket_timeout=CONNECT_SECONDS,
            stack_timeout=CONNECT_SECONDS,
            blocked_connection_timeout=None,
            client_properties={"connection_name": f"carebus {self._purpose}"},
        )
        connection = AsyncioConnection(
            parameters,
            on_open_callback=lambda _: _set(opened, None),
            on_open_error_callback=lambda _, error: _fail(opened, error),
            on_close_callback=lambda _, reason: _set(ended, reason),
            custom_ioloop=_Io(loop),
        )
        self._free.set()
        connection.add_on_connection_blocked_callback(self._blocked)
        connection.add_on_connection_unblocked_callback(self._unblocked)
        try:
            await asyncio.wait({opened}, timeout=2 * CONNECT_SECONDS)
            if not opened.done():
                raise TimeoutError
            opened.result()
        except BaseException:
            if not connection.is_closed:
                connection.close()
                ends: list[asyncio.Future[Any]] = [opened, ended]
                await asyncio.wait(ends, timeout=1.0)  # pika clears up step by step
            raise
        if self.trouble is not None:
            self._log.info("broker connected", purpose=self._purpose, host=host)
        self._connection, self.trouble = connection, None
        self._up.set()
        return ended

    async def _closed(self, ended: asyncio.Future[BaseException]) -> None:
        self._up.clear()
        if self._connection.is_open:
            self._connection.close()
        await asyncio.wait({ended}, timeout=1.0)
        if not ended.done():
            # Nobody answers: pika has no public way to leave without a good-bye.
            self._connection._terminate_stream(None)
            await asyncio.wait({ended}, timeout=1.0)

    def _failed(self, reason: BaseException, failures: int) -> None:
        code = getattr(reason, "reply_code", 0)
        text = f"{type(reason).__name__}{f' {code}' if code else ''}"
        self.trouble = _info(
            "BROKER-LOST",
            f"no connection to the broker: {text}",
            "it is tried again; look at the broker's nodes, and at CAREBUS_BROKER_URL",
        )
        if failures == 1:
            self._log.warning("broker not connected", purpose=self._purpose, reason=text)

    async def unblocked(self) -> None:
        """Return when no alarm of the broker holds publishers back."""
        await self._free.wait()

    def _blocked(self, _connection: Any, _frame: Any) -> None:
        self._free.clear()
        self.trouble = _info(
            "BROKER-BLOCKED",
            "the broker takes nothing more: its memory or disk alarm is on",
            "give the broker's node room; what waits is in the store and follows",
        )
        self._log.warning("broker blocked", purpose=self._purpose)

    def _unblocked(self, _connection: Any, _frame: Any) -> None:
        self.trouble = None
        self._free.set()
        self._log.info("broker unblocked", purpose=self._purpose)


def pause(failures: int) -> float:
    """Seconds before the next try: doubling, and spread so that engines do not come all at once."""
    longest: float = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(failures, 10))
    return longest * (0.5 + random.random() / 2)  # noqa: S311  (jitter, no secret)


def unavailable(code: str, summary: str, help: str | None = None) -> BrokerUnavailable:
    return BrokerUnavailable(_info(code, summary, help))


def _info(code: str, summary: str, help: str | None) -> ErrorInfo:
    return ErrorInfo(code, summary, Stage.ROUTING, help=help)


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
