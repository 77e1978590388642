"""The http destination against real sockets: what is sent, what answers mean, what faults are."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.http.destination import HttpDestination
from connectors.http.settings import DestinationSettings
from engine.contract import (
    ChannelName,
    EngineError,
    Message,
    MessageId,
    NotConnected,
    Outbound,
    Payload,
    RejectedError,
    RetryableError,
    UncertainError,
)
from engine.testing.peers import free_port
from engine.testing.services import MemoryServices
from tests.integration.authority import Authority, contexts
from tests.integration.raw_http import raw_peer, says

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GRACE = timedelta(seconds=1)
BODY = b'{"name": "Zzyzx"}'


def outbound(body: bytes = BODY, *, content_type: str = "application/json") -> Outbound:
    payload = Payload(body, content_type, "utf-8")
    return Outbound(Message(MessageId("0198-7"), ChannelName("his"), payload, NOW), payload)


@asynccontextmanager
async def opened(url: str, **more: Any) -> AsyncIterator[HttpDestination]:
    settings = DestinationSettings.model_validate({"url": url, **more})
    services = MemoryServices(channel="portal", tls=contexts, clock=lambda: NOW)
    destination = HttpDestination(settings, services)
    await destination.open()
    try:
        yield destination
    finally:
        await destination.close(GRACE)


async def failure(destination: HttpDestination, out: Outbound | None = None) -> EngineError:
    """The error of one send; it holds nothing of the message."""
    with pytest.raises(EngineError) as caught:
        await destination.send(out or outbound())
    assert "Zzyzx" not in f"{caught.value!r} {caught.value.info!r}"
    return caught.value


async def test_what_is_sent() -> None:
    async with (
        raw_peer(says("200 OK")) as peer,
        opened(
            f"http://127.0.0.1:{peer.port}/a%20b?c=d",
            method="PUT",
            headers={"X-Plain": "ünï"},
            secret_headers={"X-Key": "k1"},
            auth={"api_key": {"header": "X-Other", "value": "k2"}},
        ) as destination,
    ):
        delivered = await destination.send(outbound())
        assert delivered.reply is None
        head, _, body = peer.requests[0].partition(b"\r\n\r\n")
        assert body == BODY
        lines = head.decode().split("\r\n")
        assert lines[0] == "PUT /a%20b?c=d HTTP/1.1"
        assert sorted(lines[1:]) == sorted(
            [
                f"Host: 127.0.0.1:{peer.port}",
                "User-Agent: Carebus",
                "Accept-Encoding: identity",
                "X-Plain: ünï",
                "X-Key: k1",
                "X-Other: k2",
                "Content-Type: application/json; charset=utf-8",
                f"Content-Length: {len(BODY)}",
            ]
        )


async def test_headers_about_copies() -> None:
    async with (
        raw_peer(says("200 OK")) as peer,
        opened(f"http://127.0.0.1:{peer.port}/", idempotency_key=True) as destination,
    ):
        first = outbound()
        await destination.send(first)
        await destination.send(replace(first, attempt=2, possible_duplicate=True))
        await destination.send(outbound(b"other"))
        keys = [
            line
            for request in peer.requests
            for line in request.decode().split("\r\n")
            if line.startswith("Idempotency-Key: 0198-7/portal/")
        ]
        assert len(keys) == 3
        assert keys[0] == keys[1] != keys[2]
        flags = [b"Carebus-Possible-Duplicate: true\r\n" in request for request in peer.requests]
        assert flags == [False, True, False]


async def test_a_content_type_cannot_inject_a_header() -> None:
    async with (
        raw_peer(says("200 OK")) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        await destination.send(outbound(content_type="text/plain\r\nX-Injected: 1"))
        assert b"X-Injected" not in peer.requests[0]


async def test_the_reply_is_kept() -> None:
    script = says(
        "201 Created",
        body="é".encode("latin-1"),
        content_type="Text/Plain; charset=ISO-8859-1",
        headers="Location: /orders/7\r\n",
    )
    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        delivered = await destination.send(outbound())
        assert delivered.reply == Payload(b"\xe9", "text/plain", "ISO-8859-1")
        assert delivered.remote_id == "/orders/7"


@pytest.mark.parametrize(
    ("status", "headers", "kind", "code", "after"),
    [
        ("503 Busy", "Retry-After: 7\r\n", RetryableError, "HTTP-BUSY", 7),
        (
            "429 Many",
            "Retry-After: Sun, 01 Mar 2026 12:01:00 GMT\r\n",
            RetryableError,
            "HTTP-BUSY",
            60,
        ),
        ("500 Oops", "", RetryableError, "HTTP-BUSY", None),
        ("401 Who", "WWW-Authenticate: Basic\r\n", RetryableError, "HTTP-AUTH", None),
        ("302 Found", "Location: /login\r\n", RetryableError, "HTTP-MOVED", None),
        ("422 No", "", RejectedError, "HTTP-REJECTED", None),
        ("404 None", "", RejectedError, "HTTP-REJECTED", None),
    ],
)
async def test_statuses(
    status: str, headers: str, kind: type, code: str, after: int | None
) -> None:
    async with (
        raw_peer(says(status, headers=headers, body=b"Zzyzx is not known")) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        error = await failure(destination)
        assert type(error) is kind
        assert (error.info.code, error.info.peer_code) == (code, status[:3])
        if isinstance(error, RetryableError):
            assert error.after == (None if after is None else timedelta(seconds=after))
        assert len(peer.requests) == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ],
)
async def test_a_peer_that_dies_in_its_answer_is_not_asked_twice(half: bytes, method: str) -> None:
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(half)
        writer.close()

    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/", method=method) as destination,
    ):
        error = await failure(destination)
        assert isinstance(error, UncertainError)
        assert error.info.code == "HTTP-NO-ANSWER"
        assert len(peer.requests) == 1


async def test_a_late_answer_is_not_taken_for_the_next() -> None:
    asked = asyncio.Event()

    async def script(request: bytes, writer: asyncio.StreamWriter) -> None:
        if request.endswith(b"first"):
            await asked.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
        else:
            asked.set()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")

    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/", timeout="200ms") as destination,
    ):
        assert isinstance(await failure(destination, outbound(b"first")), UncertainError)
        delivered = await destination.send(outbound(b"second"))
        assert delivered.reply is not None
        assert delivered.reply.body == b"second"
        assert peer.connections == 2


async def test_connections_are_kept_and_left_again() -> None:
    async with (
        raw_peer(says("200 OK")) as peer,
        opened(f"http://127.0.0.1:{peer.port}/", keep_alive="300ms") as destination,
    ):
        for _ in range(3):
            await destination.send(outbound())
        assert peer.connections == 1
        async with asyncio.timeout(2):
            await peer.ended.wait()  # our side closed it
        await destination.send(outbound())
        assert peer.connections == 2


async def test_a_kept_connection_that_the_peer_closed_is_not_used() -> None:
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()  # without having said so

    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        for _ in range(5):
            peer.ended.clear()
            await destination.send(outbound())
            await peer.ended.wait()
        assert peer.connections == 5


async def test_a_cancelled_send_leaves_no_connection() -> None:
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        sent.set()

    sent = asyncio.Event()
    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        send = asyncio.create_task(destination.send(outbound()))
        await sent.wait()
        send.cancel()
        with pytest.raises(asyncio.CancelledError):
            await send
        async with asyncio.timeout(2):
            await peer.ended.wait()


async def test_closing_breaks_off_what_is_in_flight() -> None:
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        sent.set()

    sent = asyncio.Event()
    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        send = asyncio.create_task(destination.send(outbound()))
        await sent.wait()
        await destination.close(GRACE)
        with pytest.raises(UncertainError):
            await send
        with pytest.raises(NotConnected):
            await destination.send(outbound())
        await destination.open()
        assert peer.connections == 1


async def test_closing_also_ends_what_waits_for_its_turn() -> None:
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        sent.set()

    sent = asyncio.Event()
    async with (
        raw_peer(script) as peer,
        opened(f"http://127.0.0.1:{peer.port}/", max_in_flight=1) as destination,
    ):
        sends = [asyncio.create_task(destination.send(outbound())) for _ in range(3)]
        await sent.wait()
        await destination.close(GRACE)
        kinds = [type(x) for x in await asyncio.gather(*sends, return_exceptions=True)]
        assert kinds == [UncertainError, NotConnected, NotConnected]
        assert len(peer.requests) == 1


async def test_nobody_to_connect_to() -> None:
    for url in (f"http://127.0.0.1:{free_port()}/", "http://nobody.invalid/"):
        async with opened(url) as destination:
            error = await failure(destination)
            assert isinstance(error, NotConnected)
            assert error.info.code == "HTTP-CONNECT"


async def test_a_peer_that_never_shakes_hands() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        async with opened(url, connect_timeout="50ms") as destination:
            error = await failure(destination)
            assert isinstance(error, NotConnected)
            assert error.info.summary == "no connection within the time"


async def test_tls_with_client_certificates(
    authority: Authority, strangers_authority: Authority
) -> None:
    server = contexts(
        {**authority.issue("peer"), "ca": str(authority.ca), "require_client_certificate": True},
        True,
    )
    ca = str(authority.ca)
    async with raw_peer(says("200 OK"), tls=server) as peer:
        url = f"https://127.0.0.1:{peer.port}/"
        async with opened(url, tls={"ca": ca, **authority.issue("engine")}) as destination:
            await destination.send(outbound())
            await destination.send(outbound())
        assert peer.connections == 1
        for tls in ({"ca": str(strangers_authority.ca), **authority.issue("engine")}, None):
            async with opened(url, tls=tls) as destination:
                error = await failure(destination)
                assert isinstance(error, NotConnected)
                assert error.info.summary.startswith("the peer's certificate is not trusted: ")
        assert len(peer.requests) == 2


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_refused_client_certificate_is_known_for_what_it_is(
    authority: Authority, strangers_authority: Authority, version: str
) -> None:
    """On TLS 1.3 the refusal comes after the request left, and yet nobody read the request."""
    peer, port = authority.issue("openssl"), free_port()
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-www", version, "-accept", str(port)),
        *("-cert", peer["certificate"], "-key", peer["key"], "-CAfile", str(authority.ca)),
        *("-Verify", "1", "-verify_return_error"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        while b"ACCEPT" not in await server.stdout.readline():
            pass
        for identity in ({}, strangers_authority.issue("engine")):
            tls = {"ca": str(authority.ca), **identity}
            async with opened(f"https://127.0.0.1:{port}/", tls=tls) as destination:
                error = await failure(destination)
                assert isinstance(error, NotConnected)
                assert error.info.code == "HTTP-TLS"
    finally:
        server.kill()
        await server.communicate()


HL7 = "application/hl7-v2"


def acknowledgement(code: str) -> bytes:
    return rf"MSH|^~\&|R|R|S|S|20260301||ACK|9|P|2.5.1|{chr(13)}MSA|{code}|7|".encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("200 OK", acknowledgement("AA"), None),
        ("200 OK", acknowledgement("CA"), None),
        ("200 OK", acknowledgement("AE"), RetryableError),
        ("200 OK", acknowledgement("AR"), RejectedError),
        ("500 Oops", acknowledgement("AR"), RejectedError),
        ("400 Bad", acknowledgement("CE"), RetryableError),
        ("200 OK", b"", UncertainError),
        ("200 OK", b"<html>welcome</html>", UncertainError),
        ("503 Busy", b"", RetryableError),
        ("400 Bad", b"", RejectedError),
    ],
)
async def test_hl7_acknowledgements(status: str, body: bytes, kind: type | None) -> None:
    async with (
        raw_peer(says(status, body=body, content_type=HL7)) as peer,
        opened(f"http://127.0.0.1:{peer.port}/", reply="hl7v2") as destination,
    ):
        if kind is None:
            delivered = await destination.send(outbound(content_type=HL7))
            assert delivered.reply is not None
        else:
            assert type(await failure(destination)) is kind
        assert f"Content-Type: {HL7}".encode() in peer.requests[0] or kind is not None


async def test_an_independent_server() -> None:
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        big = b"x" * 3_000_000
        async with opened(f"http://127.0.0.1:{server.server_port}/") as destination:
            for body in (BODY, b"", big):
                await destination.send(outbound(body))
        server.shutdown()
        thread.join()
    assert bodies == [BODY, b"", big]


async def test_check() -> None:
    async with (
        raw_peer(says("405 No", headers="Allow: POST\r\n")) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        assert [(check.name, check.ok) for check in await destination.check()] == [
            ("name", True),
            ("connection", True),
            ("request", True),
        ]
    async with opened(f"http://127.0.0.1:{free_port()}/") as destination:
        checks = await destination.check()
        assert [check.ok for check in checks] == [True, False]
    async with opened("http://nobody.invalid/") as destination:
        assert [check.ok for check in await destination.check()] == [False]


@pytest.mark.parametrize(
    ("status", "good"),
    [
        ("200 OK", True),
        ("404 No", True),
        ("501 No", True),
        ("503 No", True),
        ("401 No", False),
        ("403 No", False),
    ],
)
async def test_any_answer_but_a_refusal_of_us_proves_reachability(status: str, good: bool) -> None:
    async with (
        raw_peer(says(status)) as peer,
        opened(f"http://127.0.0.1:{peer.port}/") as destination,
    ):
        check = (await destination.check())[-1]
        assert (check.name, check.ok) == ("request", good)
        assert status[:3] in check.detail


async def test_check_of_a_channel_that_is_not_open() -> None:
    async def script(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with raw_peer(script) as peer:
        settings = DestinationSettings.model_validate({"url": f"http://127.0.0.1:{peer.port}/"})
        destination = HttpDestination(settings, MemoryServices())
        checks = await destination.check()
        assert [check.ok for check in checks] == [True, True, False]
        with pytest.raises(NotConnected):
            await destination.send(outbound())


async def test_tls_to_a_plain_port() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP ready\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, opened(f"https://127.0.0.1:{port}/") as destination:
        error = await failure(destination)
        assert isinstance(error, NotConnected)
        assert error.info.code == "HTTP-TLS"
