"""One HTTP connection fed by hand: how answers may be cut, broken, repeated, and too large."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.webclient.connection import (
    HEADERS_LIMIT,
    Answer,
    Broken,
    Connection,
    NotHttp,
)

LIMIT = 1000


class Wire:
    """The transport's side of a connection: what was written, and whether it is closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.pending = 0
        self._socket = socket.socket()

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.closed = True

    close = abort

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return self.pending

    def get_extra_info(self, name: str) -> Any:
        return self._socket

    def release(self) -> None:
        self._socket.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.release()


def connected(wire: Wire) -> Connection:
    connection = Connection()
    connection.connection_made(wire)  # type: ignore[arg-type]
    return connection


async def answer_of(wire: Wire, *pieces: bytes) -> Answer:
    """Ask once and feed the pieces; the answer has to be there then."""
    connection = connected(wire)
    answer = connection.request(b"request", LIMIT)
    for piece in pieces:
        connection.data_received(piece)
    return answer.result()


async def test_one_write_and_a_whole_answer(wire: Wire) -> None:
    answer = await answer_of(
        wire, b"HTTP/1.1 201 Created\r\nLocation: /a/1\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert wire.written == b"request"
    assert (answer.status, answer.body, answer.whole) == (201, b"hello", True)
    assert answer.header("location") == "/a/1"
    assert answer.header("etag") is None
    assert not wire.closed


CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Type: text/plain; charset=gb18030\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 7, len(CHUNKED)])
async def test_cuts_do_not_matter(wire: Wire, size: int) -> None:
    pieces = [CHUNKED[start : start + size] for start in range(0, len(CHUNKED), size)]
    answer = await answer_of(wire, *pieces)
    payload = answer.payload()
    assert payload is not None
    assert (payload.body, payload.content_type) == (b"abcde", "text/plain")
    assert payload.charset == "gb18030"


async def test_a_body_without_length_ends_with_the_connection(wire: Wire) -> None:
    connection = connected(wire)
    answer = connection.request(b"request", LIMIT)
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it")
    assert not answer.done()
    connection.eof_received()
    assert answer.result().body == b"all of it"
    assert wire.closed


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_a_cut_answer_is_no_answer(wire: Wire, sent: bytes) -> None:
    connection = connected(wire)
    answer = connection.request(b"request", LIMIT)
    connection.data_received(sent)
    connection.eof_received()
    connection.connection_lost(None)
    with pytest.raises(Broken):
        answer.result()


@pytest.mark.parametrize(
    "sent",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEADERS_LIMIT + 1),
    ],
)
async def test_what_is_not_http(wire: Wire, sent: bytes) -> None:
    connection = connected(wire)
    answer = connection.request(b"request", LIMIT)
    connection.data_received(sent)
    with pytest.raises(NotHttp):
        answer.result()
    assert wire.closed


async def test_an_offer_to_upgrade_is_only_an_offer(wire: Wire) -> None:
    """Apache offers HTTP/2 in its plain answers."""
    offer = b"Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 4\r\n\r\nbody"
    answer = await answer_of(wire, b"HTTP/1.1 200 OK\r\n" + offer)
    assert answer.body == b"body"


async def test_a_change_of_protocol_is_no_answer(wire: Wire) -> None:
    connection = connected(wire)
    answer = connection.request(b"request", LIMIT)
    connection.data_received(b"HTTP/1.1 101 Go\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nh2")
    with pytest.raises(NotHttp):
        answer.result()


@pytest.mark.parametrize("length", [b"Content-Length: 5000\r\n", b""])
async def test_a_body_over_the_limit_is_dropped(wire: Wire, length: bytes) -> None:
    answer = await answer_of(wire, b"HTTP/1.1 200 OK\r\n" + length + b"\r\n", b"x" * 5000)
    assert (answer.status, answer.body, answer.whole) == (200, b"", False)
    assert answer.payload() is None
    assert wire.closed


async def test_no_second_answer(wire: Wire) -> None:
    answer = await answer_of(wire, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2)
    assert answer.status == 200
    assert wire.closed


async def test_bytes_that_nobody_asked_for_end_an_idle_connection(wire: Wire) -> None:
    connection = connected(wire)
    assert connection.usable
    connection.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    assert not connection.usable


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
async def test_a_connection_that_will_be_closed_is_not_kept(wire: Wire, version: bytes) -> None:
    close = b"" if version == b"HTTP/1.0" else b"Connection: close\r\n"
    answer = await answer_of(wire, version + b" 200 OK\r\nContent-Length: 0\r\n" + close + b"\r\n")
    assert answer.status == 200
    assert wire.closed


async def test_an_answer_to_half_a_request_ends_the_connection(wire: Wire) -> None:
    wire.pending = 10
    answer = await answer_of(wire, b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
    assert answer.status == 413
    assert wire.closed


@given(st.lists(st.binary(max_size=60), max_size=6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_it(pieces: list[bytes], begins_well: bool) -> None:
    async def feed() -> None:
        wire = Wire()
        connection = connected(wire)
        answer = connection.request(b"request", LIMIT)
        if begins_well:
            connection.data_received(b"HTTP/1.1 200 OK\r\n")
        for piece in pieces:
            if wire.closed:
                break
            connection.data_received(piece)
        connection.eof_received()
        connection.connection_lost(None)
        assert answer.done()
        assert isinstance(answer.exception(), Broken | NotHttp | None)
        wire.release()

    asyncio.run(feed())
