"""Peers that take what the engine delivers, count it and remember the order: HTTP and MLLP.

As a process (`python -m bench.sinks http`) a sink is told what to do by lines on its standard
input, and answers each with one JSON line:

* ``up PORT``: listen; ``down``: stop listening and break every connection
* ``mode ok|503|400|silent|cut``: how to answer from now on; ``silent`` and ``cut`` keep the
  message and never say so, or break the connection
* ``slow SECONDS``: wait before each answer
* ``stats``: what was taken so far (times are of the machine's monotonic clock)
* ``record FILE``: write the numbers taken, in order, 8 bytes each
* ``quit``

In a test's own event loop, `HttpSink` and `MllpSink` are used directly.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from array import array
from pathlib import Path
from typing import Any, cast

import httptools
import uvloop

from bench.messages import number_in

_OK = b'{"resourceType":"Bundle","type":"transaction-response"}'
_ANSWERS = {
    "ok": b"HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(_OK), _OK),
    "503": b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
    "400": b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
    "silent": b"",
    "cut": b"",
}


class Sink:
    """What both kinds share: the listener, the manner of answering and the record."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.delay = 0.0
        self.numbers = array("q")  # of every message taken, in the order of arrival
        self.repeated = 0  # arrivals beyond the first of a message
        self.refused = 0
        self.bytes = 0
        self.first_at = 0.0
        self.last_at = 0.0
        self.connections: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self._empty: asyncio.Future[None] | None = None
        self._seen: set[int] = set()

    def take(self, body: bytes) -> bool:
        """Remember one message; False when the sink refuses or swallows messages now."""
        if self.mode in ("silent", "cut"):
            self._remember(body)  # the peer has it, and never says so
            return False
        if self.mode != "ok":
            self.refused += 1
            return False
        self.last_at = time.perf_counter()
        if not self.numbers:
            self.first_at = self.last_at
        self._remember(body)
        self.bytes += len(body)
        return True

    def _remember(self, body: bytes) -> None:
        number = number_in(body)
        if number in self._seen:
            self.repeated += 1
        self._seen.add(number)
        self.numbers.append(number)

    def protocol(self) -> asyncio.Protocol:
        raise NotImplementedError

    async def up(self, port: int = 0) -> int:
        """Listen on loopback; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.protocol, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def down(self) -> None:
        """Refuse connections and break those that are open."""
        if self._server is not None:
            self._server.close()
            for transport in self.connections:
                transport.abort()
            if self.connections:
                self._empty = asyncio.get_running_loop().create_future()
                await self._empty
            await self._server.wait_closed()
            self._server = None

    def closed(self, transport: asyncio.Transport) -> None:
        """A connection is gone."""
        self.connections.discard(transport)
        if not self.connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def stats(self) -> dict[str, float]:
        return {
            "taken": len(self.numbers),
            "repeated": self.repeated,
            "refused": self.refused,
            "bytes": self.bytes,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "connections": len(self.connections),
            "cpu_seconds": time.process_time(),
        }


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = cast("asyncio.Transport", transport)
        self.sink.connections.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.sink.closed(self.transport)

    def answer(self, text: bytes) -> None:
        if self.sink.delay:
            asyncio.get_running_loop().call_later(self.sink.delay, self._write, text)
        else:
            self._write(text)

    def _write(self, text: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(text)


class _HttpConnection(_Connection):
    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._parser = httptools.HttpRequestParser(self)
        self._parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.sink.take(body)
        if self.sink.mode == "cut":
            self.transport.abort()
        else:
            self.answer(_ANSWERS[self.sink.mode])


class _MllpConnection(_Connection):
    def __init__(self, sink: Sink) -> None:
        super().__init__(sink)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        *frames, self._buffer = (self._buffer + data).split(b"\x1c\r")
        for frame in frames:
            fields = frame[1:].split(b"\r", 1)[0].split(b"|")
            code = b"AA" if self.sink.take(frame) else b"AE"
            if self.sink.mode != "silent":
                self.answer(
                    b"\x0bMSH|^~\\&|SINK|BENCH|%b|%b|20260301||ACK|A%b|P|%b\rMSA|%b|%b\r\x1c\r"
                    % (fields[2], fields[3], fields[9], fields[11], code, fields[9])
                )


class HttpSink(Sink):
    """Takes any request and answers 200 with an empty transaction-response."""

    def protocol(self) -> asyncio.Protocol:
        return _HttpConnection(self)


class MllpSink(Sink):
    """Takes any HL7 message and answers AA."""

    def protocol(self) -> asyncio.Protocol:
        return _MllpConnection(self)


async def obey(sink: Sink, line: str) -> dict[str, Any]:
    """Do what one line says; the answer to print."""
    match line.split():
        case ["up", port]:
            return {"port": await sink.up(int(port))}
        case ["down"]:
            await sink.down()
        case ["mode", mode] if mode in _ANSWERS:
            sink.mode = mode
        case ["slow", seconds]:
            sink.delay = float(seconds)
        case ["stats"]:
            return dict(sink.stats())
        case ["record", file]:
            with Path(file).open("wb") as out:  # noqa: ASYNC230 - nothing else happens meanwhile
                sink.numbers.tofile(out)
        case _:
            return {"error": "unknown command"}
    return {"ok": True}


async def serve(kind: str) -> None:
    sink = {"http": HttpSink, "mllp": MllpSink}[kind]()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := (await reader.readline()).decode().strip():
        if line == "quit":
            break
        print(json.dumps(await obey(sink, line)), flush=True)
    await sink.down()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
