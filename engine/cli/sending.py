"""A plain sender: messages out, acknowledgements in, nothing repeated and nothing stored.

It speaks MLLP and HTTP with its own few lines, so that a channel can be tried without the code that
is being tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_START: Final = b"\x0b"
_END: Final = b"\x1c\r"
_LARGEST: Final = 64 * 1024 * 1024
_POSITIVE: Final = frozenset({"AA", "CA"})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """``name`` is what the sender prints: a control id, else a file's name."""

    name: str
    body: bytes = field(repr=False)
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Answered:
    """``answer`` is the acknowledgement's code, the HTTP status, or what went wrong."""

    name: str
    answer: str
    ok: bool
    seconds: float


class Connection(Protocol):
    async def send(self, message: Outgoing) -> tuple[str, bool]:
        """The answer and whether it is a yes.  Raises OSError, TimeoutError or EOFError."""


def read_messages(name: str, content: bytes) -> Iterator[Outgoing]:
    """The messages of one file.

    HL7 v2 messages one after the other are several; their line ends become CR, since people's
    editors write LF.  Anything else is one message, untouched.
    """
    body = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x0b\r\n ")
    if not body.startswith((b"MSH", b"FHS", b"BHS")):
        yield Outgoing(name, content, _content_type(name, content))
        return
    text = re.sub(rb"\r\n?|\n", b"\r", body.replace(_END, b"\r").replace(_START, b""))
    parts = [text] if not text.startswith(b"MSH") else re.split(rb"\r+(?=MSH)", text)
    for part in parts:
        one = part.strip(b"\r") + b"\r"
        yield Outgoing(control_id(one) or name, one, "x-application/hl7-v2+er7")


def control_id(body: bytes) -> str:
    """MSH-10 as it stands; empty when there is none."""
    separator = body[3:4]
    fields = body.split(b"\r", 1)[0].split(separator) if separator else []
    return fields[9].decode("ascii", "replace") if len(fields) > 9 else ""


def repeated(
    messages: Sequence[Outgoing], times: int | None, new_ids: str | None
) -> Iterator[Outgoing]:
    """The messages in turn, ``times`` in all; with ``new_ids``, each HL7 message gets a control id
    that begins with it, so that the engine does not take it for a copy."""
    wanted: Iterable[Outgoing] = messages if times is None else islice(cycle(messages), times)
    numbers = count(1)
    for message in wanted:
        yield message if new_ids is None else _with_id(message, f"{new_ids}{next(numbers)}")


async def send_all(
    messages: Iterator[Outgoing],
    connect: Callable[[], AsyncIterator[Connection]],
    *,
    connections: int,
    rate: float,
    report: Callable[[Answered], None],
) -> None:
    """Send over so many connections at once; ``rate`` messages a second in all, 0: no limit.

    ``report`` is called for each message.  A connection that fails is opened again for the next.
    """
    started = time.perf_counter()
    turn = count()

    async def work() -> None:
        message = next(messages, None)
        while message is not None:
            try:
                async with asynccontextmanager(connect)() as connection:
                    usable = True
                    while usable and message is not None:
                        if rate:
                            due = started + next(turn) / rate
                            await asyncio.sleep(max(0.0, due - time.perf_counter()))
                        answered = await _exchange(connection, message)
                        usable = not answered.answer.startswith("no answer")
                        report(answered)
                        message = next(messages, None)
            except (OSError, TimeoutError) as error:
                if message is not None:
                    said = f"not connected: {_reason(error)}"
                    report(Answered(message.name, said, False, 0.0))
                    message = next(messages, None)

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work())


async def _exchange(connection: Connection, message: Outgoing) -> Answered:
    begin = time.perf_counter()
    try:
        answer, ok = await connection.send(message)
    except (OSError, TimeoutError, EOFError) as error:
        answer, ok = f"no answer: {_reason(error)}", False
    return Answered(message.name, answer, ok, time.perf_counter() - begin)


def mllp(
    address: SplitResult, timeout: float, tls: ssl.SSLContext | None
) -> Callable[[], AsyncIterator[Connection]]:
    async def connect() -> AsyncIterator[Connection]:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(
                address.hostname, address.port, ssl=tls, limit=_LARGEST
            )
        try:
            yield _Mllp(reader, writer, timeout)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return connect


def http(
    url: str, timeout: float, tls: ssl.SSLContext | None, headers: dict[str, str]
) -> Callable[[], AsyncIterator[Connection]]:
    async def connect() -> AsyncIterator[Connection]:
        import aiohttp

        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout), headers=headers
        ) as session:
            yield _Http(session, url, tls)

    return connect


class _Mllp:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout = timeout

    async def send(self, message: Outgoing) -> tuple[str, bool]:
        self._writer.write(_START + message.body + _END)
        async with asyncio.timeout(self._timeout):
            answer = await self._reader.readuntil(_END)
        code, about = _msa(answer)
        if about != control_id(message.body):
            return f"{code} for another message", False
        return code, code in _POSITIVE


class _Http:
    def __init__(self, session: object, url: str, tls: ssl.SSLContext | None) -> None:
        import aiohttp

        assert isinstance(session, aiohttp.ClientSession)  # noqa: S101
        self._session = session
        self._url = url
        self._tls = tls

    async def send(self, message: Outgoing) -> tuple[str, bool]:
        import aiohttp

        try:
            async with self._session.post(
                self._url,
                data=message.body,
                headers={"Content-Type": message.content_type},
                ssl=self._tls or True,
            ) as response:
                body = await response.read()
        except aiohttp.ClientError as error:
            raise OSError(0, type(error).__name__) from error
        if response.ok and body.startswith((b"MSH", _START + b"MSH")):
            code, _ = _msa(body)
            return f"{response.status} {code}", code in _POSITIVE
        return str(response.status), response.ok


def _msa(answer: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2.  Raises EOFError when there is none."""
    body = answer.strip(_START + _END)
    separator = body[3:4]
    for segment in re.split(rb"[\r\n]+", body):
        if segment.startswith(b"MSA") and separator:
            fields = [*segment.split(separator), b"", b""]
            return fields[1].decode("ascii", "replace"), fields[2].decode("ascii", "replace")
    raise EOFError("no MSA segment")


def _with_id(message: Outgoing, new: str) -> Outgoing:
    if not message.body.startswith(b"MSH"):
        return message
    head, end, rest = message.body.partition(b"\r")
    separator = head[3:4]
    fields = head.split(separator)
    fields += [b""] * (10 - len(fields))
    fields[9] = new.encode("ascii")
    return Outgoing(new, separator.join(fields) + end + rest, message.content_type)


def _content_type(name: str, content: bytes) -> str:
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        return "application/xml"
    if start in (b"{", b"["):
        return "application/fhir+json" if b'"resourceType"' in content[:200] else "application/json"
    return "application/octet-stream"


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "timed out" if isinstance(error, TimeoutError) else (str(error) or "connection closed")


def address_of(text: str) -> SplitResult:
    """Raises ValueError when the text is not ``mllp://host:port`` or an HTTP URL."""
    address = urlsplit(text)
    if address.scheme in ("mllp", "mllps"):
        if address.hostname and address.port and address.path in ("", "/"):
            return address
    elif address.scheme in ("http", "https") and address.hostname:
        return address
    raise ValueError("write mllp://host:port, mllps://host:port or http(s)://host:port/path")
