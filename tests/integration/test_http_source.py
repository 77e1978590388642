"""The http source with curl and raw sockets as its peers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import hl7
import pytest

from connectors.http.settings import SourceSettings
from connectors.http.source import HttpSource
from engine.contract import ConfigError, Limits, NotConnected, Outcome, Payload
from engine.testing.accepting import RecordingAccept
from engine.testing.peers import free_port
from engine.testing.services import MemoryServices
from tests.integration.authority import Authority, contexts

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
GRACE = timedelta(seconds=1)


@dataclass
class Channel:
    """A running source: where it is, what it accepted, and the task that runs it."""

    port: int
    accept: RecordingAccept
    task: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"


@asynccontextmanager
async def running(limits: Limits | None = None, **more: Any) -> AsyncIterator[Channel]:
    port = free_port()
    settings = SourceSettings.model_validate({"port": port, "path": "/in", **more})
    services = MemoryServices(tls=contexts, clock=lambda: NOW, limits=limits or Limits())
    source = HttpSource(settings, services)
    await source.open()
    accept = RecordingAccept()
    task = asyncio.create_task(source.run(accept))
    try:
        yield Channel(port, accept, task)
    finally:
        task.cancel()
        await asyncio.wait([task])
        await source.close(GRACE)


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def curl(*arguments: str, body: bytes | None = None) -> Answer:
    """POST with curl; status 0 when it got no answer."""
    data = ["--data-binary", "@-"] if body is not None else []
    process = await asyncio.create_subprocess_exec(
        "curl",
        "--silent",
        "--include",
        "--max-time",
        "10",
        *data,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate(body)
    while out.startswith((b"HTTP/1.1 1", b"HTTP/1.1 100")):
        out = out.partition(b"\r\n\r\n")[2]  # interim answers
    if not out:
        return Answer(0)
    head, _, rest = out.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
    return Answer(int(first.split()[1]), headers, rest)


JSON = ("-H", "Content-Type: application/json; charset=utf-8")


async def test_a_message_is_accepted() -> None:
    async with running() as channel:
        spoofed = ("-H", "X-Forwarded-For: 10.9.8.7")
        answer = await curl(*JSON, *spoofed, channel.url + "?a=b", body=b'{"a": 1}')
        (inbound,) = channel.accept.received
        assert answer.status == 202
        assert answer.json["outcome"] == "accepted"
        assert parsedate_to_datetime(answer.headers["date"]) <= datetime.now(UTC)
        assert answer.json["message_id"].endswith("1")
        assert inbound.payload == Payload(b'{"a": 1}', "application/json", "utf-8")
        assert inbound.peer.startswith("127.0.0.1:")
        assert inbound.received_at == NOW


async def test_bodies_however_they_come() -> None:
    big = bytes(range(256)) * 8000
    async with running() as channel:
        for more in (
            (),
            ("-H", "Transfer-Encoding: chunked"),
            ("-H", "Expect: 100-continue"),
            ("--http2",),  # offers an upgrade, as Java's client does by default
            ("--http1.0",),
        ):
            answer = await curl(*JSON, *more, channel.url, body=big)
            assert answer.status == 202, more
        assert [body == big for body in channel.accept.bodies] == [True] * 5


async def test_an_offer_to_upgrade_costs_no_message() -> None:
    head = (
        b"POST /in HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    )
    first = head + b"HTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n\r\nfirst"
    last = b"POST /in HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast"
    for size in (1, 7, 1000):
        async with running() as channel:
            answers = await talk(channel.port, first + last, size=size)
            assert answers.count(b"HTTP/1.1 202") == 2
            assert channel.accept.bodies == [b"first", b"last"]
            answer = await talk(channel.port, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400")


async def test_many_on_one_connection() -> None:
    async with running() as channel:
        urls = [channel.url] * 5
        answer = await curl(*JSON, "-w", "%{num_connects} ", *urls, body=b"x")
        assert answer.status == 202
        assert len(channel.accept.received) == 5
        assert len({inbound.peer for inbound in channel.accept.received}) == 1


@pytest.mark.parametrize(
    ("outcome", "status"), [(Outcome.REJECTED, 422), (Outcome.UNAVAILABLE, 503)]
)
async def test_negatives(outcome: Outcome, status: int) -> None:
    async with running() as channel:
        channel.accept.outcome = outcome
        answer = await curl(*JSON, channel.url, body=b"x")
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["code"] == "TEST-NO"
        assert ("retry-after" in answer.headers) == (status == 503)


async def test_wrong_addresses_and_methods() -> None:
    async with running(methods=["POST", "PUT"]) as channel:
        assert (await curl(f"http://127.0.0.1:{channel.port}/other", body=b"x")).status == 404
        assert (await curl(f"{channel.url}/", body=b"x")).status == 404
        answer = await curl(channel.url)
        assert (answer.status, answer.headers["allow"]) == (405, "POST, PUT")
        assert (await curl("-X", "PUT", channel.url, body=b"x")).status == 202
        assert channel.accept.bodies == [b"x"]


async def test_content_types() -> None:
    async with running(content_types=["application/json"]) as channel:
        assert (await curl(*JSON, channel.url, body=b"x")).status == 202
        answer = await curl("-H", "Content-Type: text/xml", channel.url, body=b"x")
        assert (answer.status, answer.headers["accept"]) == (415, "application/json")
        answer = await curl(*JSON, "-H", "Content-Encoding: gzip", channel.url, body=b"x")
        assert answer.status == 415
        assert channel.accept.bodies == [b"x"]


@pytest.mark.parametrize(
    ("auth", "good", "bad", "challenge"),
    [
        (
            {"basic": {"user": "his", "password": "wörd"}},
            [("-u", "his:wörd"), ("-H", "Authorization: bAsIc aGlzOnfDtnJk")],
            [("-u", "his:word"), ("-u", ":"), ("-H", "Authorization: Basic")],
            "Basic ",
        ),
        (
            {"bearer": "t0ken"},
            [("-H", "Authorization: Bearer t0ken")],
            [("-H", "Authorization: Bearer t0ke"), ("-H", "Authorization: Basic t0ken")],
            "Bearer ",
        ),
        (
            {"api_key": {"header": "X-Key", "value": "k"}},
            [("-H", "x-key: k")],
            [("-H", "X-Key: K"), ("-H", "X-Key: k", "-H", "X-Key: k"), ("-H", "X-Key;")],
            "ApiKey",
        ),
    ],
)
async def test_who_may_send(auth: Any, good: Any, bad: Any, challenge: str) -> None:
    async with running(auth=auth) as channel:
        for arguments in good:
            assert (await curl(*arguments, channel.url, body=b"x")).status == 202
        for arguments in ((), *bad):
            answer = await curl(*arguments, channel.url, body=b"y")
            assert answer.status == 401, arguments
            assert answer.headers["www-authenticate"].startswith(challenge)
        assert channel.accept.bodies == [b"x"] * len(good)


async def test_too_large() -> None:
    async with running(Limits(message=1000)) as channel:
        for more in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue")):
            assert (await curl(*more, channel.url, body=b"x" * 1000)).status == 202
            assert (await curl(*more, channel.url, body=b"x" * 1001)).status == 413, more
            assert (await curl(*more, channel.url, body=b"x" * 5_000_000)).status == 413, more
        assert len(channel.accept.received) == 3


ADT = b"MSH|^~\\&|HIS|H|CB|H|20260301||ADT^A01|MSG7|P|2.5.1\rEVN||20260301\rPID|1||77^^^A||Zzyzx\r"
HL7 = ("-H", "Content-Type: application/hl7-v2; charset=utf-8")


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (Outcome.ACCEPTED, 200, "AA"),
        (Outcome.DUPLICATE, 200, "AA"),
        (Outcome.REJECTED, 422, "AR"),
        (Outcome.UNAVAILABLE, 503, "AE"),
    ],
)
async def test_hl7_is_acknowledged_in_hl7(outcome: Outcome, status: int, code: str) -> None:
    async with running() as channel:
        channel.accept.outcome = outcome
        answer = await curl(*HL7, channel.url, body=ADT)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/hl7-v2; charset=utf-8"
        acknowledgement = hl7.parse(answer.body.decode())
        assert str(acknowledgement.segment("MSA")[1]) == code
        assert str(acknowledgement.segment("MSA")[2]) == "MSG7"
        assert b"Zzyzx" not in answer.body


async def test_unreadable_hl7_is_refused_in_hl7() -> None:
    async with running() as channel:
        channel.accept.outcome = Outcome.REJECTED
        answer = await curl(*HL7, channel.url, body=b"no HL7 at all")
        assert answer.status == 422
        assert b"MSA|AR" in answer.body


async def test_tls_with_client_certificates(
    authority: Authority, strangers_authority: Authority
) -> None:
    tls = {
        **authority.issue("listener"),
        "ca": str(authority.ca),
        "require_client_certificate": True,
    }
    async with running(tls=tls) as channel:
        url = channel.url.replace("http:", "https:")
        good = authority.issue("sender")
        wrong = strangers_authority.issue("sender")
        trust = ("--cacert", str(authority.ca))
        answer = await curl(
            *trust, "--cert", good["certificate"], "--key", good["key"], url, body=b"x"
        )
        assert answer.status == 202
        assert (await curl(*trust, url, body=b"y")).status == 0
        answer = await curl(
            *trust, "--cert", wrong["certificate"], "--key", wrong["key"], url, body=b"y"
        )
        assert answer.status == 0
        assert (await curl(channel.url, body=b"y")).status == 0
        assert channel.accept.bodies == [b"x"]


async def talk(port: int, data: bytes, *, size: int = 1_000_000) -> bytes:
    """Send, in pieces, and give all that comes back until the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for start in range(0, len(data), size):
            writer.write(data[start : start + size])
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "beginning",
    [b"", b"POST /in HT", b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"],
)
async def test_a_request_that_never_comes_to_its_end(beginning: bytes) -> None:
    async with running(arrival_timeout="50ms") as channel:
        assert b"202" not in await talk(channel.port, beginning)
        assert channel.accept.received == []


async def test_an_accept_that_takes_longer_than_a_request_may() -> None:
    async with running(arrival_timeout="300ms") as channel:
        channel.accept.hold()
        asking = asyncio.create_task(curl(channel.url, body=b"x"))
        await channel.accept.count(1)
        await asyncio.sleep(0.5)
        channel.accept.release()
        assert (await asking).status == 202


async def test_idle_connections_end() -> None:
    async with running(Limits(idle=timedelta(milliseconds=50))) as channel:
        request = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
        assert (await talk(channel.port, request)).count(b"HTTP/1.1 202") == 1
        refused = b"POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
        assert (await talk(channel.port, refused)).count(b"HTTP/1.1 404") == 1


async def test_headers_without_end() -> None:
    async with running() as channel:
        answer = await talk(channel.port, b"POST /in HTTP/1.1\r\nX: " + b"x" * 70_000)
        assert answer.startswith(b"HTTP/1.1 431") or answer == b""


async def test_a_request_that_can_be_read_in_two_ways_is_refused() -> None:
    async with running() as channel:
        for lengths in (
            b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: identity, chunked, x",
        ):
            head = b"POST /in HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n\r\n"
            answer = await talk(channel.port, head + b"0\r\n\r\nxx")
            assert b"400" in answer.split(b"\r\n")[0]
        assert channel.accept.received == []


async def test_more_connections_than_allowed() -> None:
    async with running(Limits(connections=2)) as channel:
        lines = [await asyncio.open_connection("127.0.0.1", channel.port) for _ in range(2)]
        assert (await talk(channel.port, b"")).startswith(b"HTTP/1.1 503")
        for _, writer in lines:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while (await curl(channel.url, body=b"x")).status != 202:
                await asyncio.sleep(0.01)


async def test_the_rate_is_kept_by_waiting() -> None:
    async with running(Limits(rate=40.0)) as channel:
        start = asyncio.get_running_loop().time()
        request = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
        last = request.replace(b"Host: x", b"Host: x\r\nConnection: close")
        answers = await talk(channel.port, request * 11 + last)
        assert answers.count(b"HTTP/1.1 202") == 12
        assert asyncio.get_running_loop().time() - start >= (12 - 1) / 40 - 0.1


async def test_who_waits_when_the_channel_stops_is_told_to_come_again() -> None:
    async with running() as channel:
        channel.accept.hold()
        asking = asyncio.create_task(curl(channel.url, body=b"x"))
        await channel.accept.count(1)
        channel.task.cancel()
        answer = await asking
        assert answer.status in (503, 0)
        assert channel.accept.cancelled == 1
        assert (await curl(channel.url, body=b"x")).status == 0


async def test_a_port_that_is_taken() -> None:
    async with running() as channel:
        settings = SourceSettings.model_validate({"port": channel.port})
        second = HttpSource(settings, MemoryServices())
        with pytest.raises(NotConnected) as caught:
            await second.open()
        assert caught.value.info.code == "HTTP-LISTEN"
        assert caught.value.info.peer_code == "EADDRINUSE"
        await second.close(GRACE)


async def test_not_open() -> None:
    source = HttpSource(SourceSettings.model_validate({"port": 1}), MemoryServices())
    with pytest.raises(NotConnected):
        await source.run(RecordingAccept())


async def test_a_certificate_that_is_missing(tmp_path: Path) -> None:
    settings = SourceSettings.model_validate(
        {"port": free_port(), "tls": {"certificate": str(tmp_path / "none.pem")}}
    )
    source = HttpSource(settings, MemoryServices(tls=contexts))
    with pytest.raises(ConfigError):
        await source.open()
    await source.close(GRACE)
