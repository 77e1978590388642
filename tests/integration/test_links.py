"""Our two sides of a link against each other, and the receiving side against hostile peers."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.carebus import wire
from connectors.carebus.destination import LinkDestination
from connectors.carebus.settings import LinkDestinationSettings
from engine.contract import (
    ChannelName,
    ConfigError,
    EngineError,
    Limits,
    Message,
    MessageId,
    NotConnected,
    Outbound,
    Outcome,
    Payload,
    RejectedError,
    RetryableError,
)
from engine.testing.accepting import RecordingAccept
from engine.testing.harness import Gone
from engine.testing.running import Running, running
from engine.testing.services import MemoryServices
from tests.conformance.certificates import Identity, certificates
from tests.conformance.links import (
    LinkSourceHarness,
    TlsLinkSourceHarness,
    calling,
    listening,
)
from tests.conformance.tls import contexts
from tests.integration.line import Line

HERE = "under-test"
PART = 64 * 1024
LARGE = random.Random(1).randbytes(5 * PART + 17)  # noqa: S311 - bytes that gzip cannot shrink


def outbound(body: bytes = b"MSH|one", **facts: Any) -> Outbound:
    payload = Payload(body, "application/hl7-v2", "utf-8")
    id = MessageId(facts.pop("id", "00000000-0000-7000-8000-000000000001"))
    attributes = facts.pop("attributes", {})
    message = Message(id, ChannelName("his-adt"), payload, datetime.now(UTC), attributes)
    return Outbound(message, payload, **{"target": "all/region", **facts})


@asynccontextmanager
async def linked(url: str, **settings: Any) -> AsyncIterator[LinkDestination]:
    """A sending side; what it needs more than the address is in ``settings``."""
    given = {"url": url, "channel": HERE, "timeout": "2s", "part": "64KiB", **settings}
    services = MemoryServices(channel="to-there", tls=contexts)
    destination = LinkDestination(LinkDestinationSettings.model_validate(given), services)
    await destination.open()
    try:
        yield destination
    finally:
        await destination.close(services.limits.idle)


async def failure(destination: LinkDestination, out: Outbound | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await destination.send(out or outbound())
    return caught.value


@asynccontextmanager
async def receiving(folder: Path, **limits: Any) -> AsyncIterator[tuple[str, Running]]:
    """A receiving side on loopback: its address, and itself."""
    rig = LinkSourceHarness(folder)
    services = MemoryServices(limits=Limits(**limits))
    services.spool = folder / "spool"
    async with running(rig, RecordingAccept(), services=services) as live:
        yield f"http://127.0.0.1:{rig.port}", live
    await rig.stop()


async def test_the_other_engine_knows_where_a_message_comes_from(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live), linked(url) as link:
        earlier = {"link.trace": "a-1,b-2"}
        out = outbound(b"MSH|caf\xe9" * 500, attributes=earlier, possible_duplicate=True)
        delivered = await link.send(out)
        (taken,) = live.accept.received
    assert delivered.remote_id == "00000000-0000-7000-8000-000000000001"
    assert taken.payload == out.payload  # compressed on its way
    assert taken.keys == {"origin": "a-1"}
    shown = dict(taken.attributes)
    assert shown.pop("link.accepted_at") == out.message.received_at.isoformat()
    assert shown == {
        "link.message": out.message.id,
        "link.trace": f"a-1,b-2,{out.message.id}",
        "link.channel": "his-adt",
        "link.possible_duplicate": "true",
    }


async def test_every_attempt_has_one_key_and_every_target_its_own(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live), linked(url) as link:
        await link.send(outbound())
        await link.send(outbound(b"mapped anew", attempt=2, possible_duplicate=True))
        await link.send(outbound(target="all/laboratory"))
        await link.send(outbound(id="00000000-0000-7000-8000-000000000002"))
        first, again, other, another = (one.dedup_key for one in live.accept.received)
    assert first == again
    assert len({first, other, another}) == 3


async def test_a_second_copy_is_delivered_and_says_so(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live), linked(url) as link:
        live.accept.outcome = Outcome.DUPLICATE
        delivered = await link.send(outbound())
    assert delivered.reply is not None
    assert b"duplicate" in delivered.reply.body


async def test_a_large_message_arrives_whole_in_parts(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live), linked(url) as link:
        await link.send(outbound(LARGE))
        assert live.accept.bodies == [LARGE]
    assert not list((tmp_path / "spool").iterdir())


async def test_a_transfer_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live):
        line = Line(int(url.rpartition(":")[2]))
        async with line.up(), linked(f"http://127.0.0.1:{line.port}") as link:
            line.cut_after = 3 * PART
            error = await failure(link, outbound(LARGE))
            assert isinstance(error, RetryableError)
            assert error.info.code == "CAREBUS-BROKEN"
            assert not live.accept.bodies
            before = line.passed
            await link.send(outbound(LARGE, attempt=2))
            assert line.passed - before < len(LARGE) - 2 * PART
        assert live.accept.bodies == [LARGE]


async def test_a_transfer_outlives_the_receiving_engine(tmp_path: Path) -> None:
    rig = LinkSourceHarness(tmp_path)
    services = MemoryServices()
    services.spool = tmp_path / "spool"
    async with running(rig, services=services):
        line = Line(rig.port)
        async with line.up(), linked(f"http://127.0.0.1:{line.port}") as link:
            line.cut_after = 3 * PART
            await failure(link, outbound(LARGE))
    (kept,) = (tmp_path / "spool").iterdir()
    assert 2 * PART <= kept.stat().st_size < len(LARGE)
    async with running(rig, services=services) as live:
        async with linked(f"http://127.0.0.1:{rig.port}") as link:
            await link.send(outbound(LARGE))
        assert live.accept.bodies == [LARGE]
    await rig.stop()


async def test_parts_that_a_disk_lost_are_sent_anew(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live):
        line = Line(int(url.rpartition(":")[2]))
        async with line.up(), linked(f"http://127.0.0.1:{line.port}") as link:
            line.cut_after = 3 * PART
            await failure(link, outbound(LARGE))
            (kept,) = (tmp_path / "spool").iterdir()
            kept.write_bytes(bytes(kept.stat().st_size))
            await link.send(outbound(LARGE))
        assert live.accept.bodies == [LARGE]


async def test_a_large_message_waits_while_the_engine_cannot_take_it(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live), linked(url) as link:
        live.accept.outcome = Outcome.UNAVAILABLE
        assert isinstance(await failure(link, outbound(LARGE)), RetryableError)
        (kept,) = (tmp_path / "spool").iterdir()
        assert kept.stat().st_size == len(LARGE)
        live.accept.outcome = Outcome.ACCEPTED
        await link.send(outbound(LARGE))
        assert live.accept.bodies == [LARGE, LARGE]


async def test_no_room_for_a_large_message_is_said_and_not_fatal(tmp_path: Path) -> None:
    rig = LinkSourceHarness(tmp_path)
    rig.settings = lambda: {"port": rig.port, "spool": "1MiB"}  # type: ignore[method-assign]
    services = MemoryServices()
    services.spool = tmp_path / "spool"
    async with running(rig, services=services) as live:
        async with linked(f"http://127.0.0.1:{rig.port}") as link:
            error = await failure(link, outbound(LARGE * 4))
            assert isinstance(error, RetryableError)
            assert error.info.peer_code == "CAREBUS-NO-ROOM"
            await link.send(outbound())
        assert live.accept.bodies == [b"MSH|one"]
    await rig.stop()


@pytest.mark.parametrize("compress", ["gzip", "none"])
async def test_too_large_is_final(tmp_path: Path, compress: str) -> None:
    async with receiving(tmp_path, message=PART) as (url, live):
        async with linked(url, compress=compress) as link:
            for body in (LARGE, b"a" * 4 * PART):
                error = await failure(link, outbound(body))
                assert isinstance(error, RejectedError)
                assert error.info.code == "CAREBUS-TOO-LARGE"
        assert not live.accept.bodies


async def test_a_circle_ends(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, live), linked(url) as link:
        trace = ",".join(f"m-{number}" for number in range(wire.LONGEST_WAY))
        error = await failure(link, outbound(attributes={"link.trace": trace}))
        assert isinstance(error, RejectedError)
        assert error.info.code == "CAREBUS-CIRCLE"
        assert not live.accept.bodies


async def test_a_wrong_channel_waits_for_a_person(tmp_path: Path) -> None:
    async with receiving(tmp_path) as (url, _), linked(url, channel="elsewhere") as link:
        error = await failure(link)
        assert isinstance(error, RetryableError)
        assert error.info.code == "CAREBUS-NO-CHANNEL"
        checks = await link.check()
        assert (checks[-1].name, checks[-1].ok) == ("link", False)


async def test_a_newer_engine_is_told_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(tmp_path) as (url, live):
        monkeypatch.setattr(wire, "VERSION", "2")
        async with linked(url) as link:
            monkeypatch.setattr(wire, "VERSION", "1")
            error = await failure(link)
        assert isinstance(error, RetryableError)
        assert error.info.code == "CAREBUS-VERSION"
        assert "this engine speaks version 1 of the link" in error.info.summary
        assert not live.accept.bodies


class TestCertificates:
    """Who may talk to whom."""

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[TlsLinkSourceHarness]:
        rig = TlsLinkSourceHarness(tmp_path)
        yield rig
        await rig.stop()

    async def test_the_sender_is_known_by_its_certificate(self, rig: TlsLinkSourceHarness) -> None:
        async with (
            running(rig) as live,
            linked(f"https://localhost:{rig.port}", tls=calling()) as link,
        ):
            await link.send(outbound())
            checks = await link.check()
            (taken,) = live.accept.received
        assert taken.attributes["link.engine"] == "client"
        assert taken.peer.startswith("client (127.0.0.1:")
        assert [check.name for check in checks] == ["name", "connection", "link"]
        assert all(check.ok for check in checks)

    async def test_a_certificate_that_is_not_on_the_list(self, rig: TlsLinkSourceHarness) -> None:
        shown = calling(certificates().misnamed)  # of the right authority
        async with (
            running(rig) as live,
            linked(f"https://localhost:{rig.port}", tls=shown) as link,
        ):
            error = await failure(link)
            assert isinstance(error, RetryableError)
            assert error.info.code == "CAREBUS-FORBIDDEN"
            assert not live.accept.received

    @pytest.mark.parametrize(
        ("identity", "alert"), [("stranger", "UNKNOWN_CA"), ("expired", "CERTIFICATE_EXPIRED")]
    )
    async def test_a_certificate_that_is_not_trusted(
        self, rig: TlsLinkSourceHarness, identity: str, alert: str
    ) -> None:
        shown: Identity = getattr(certificates(), identity)
        async with (
            running(rig) as live,
            linked(f"https://localhost:{rig.port}", tls=calling(shown)) as link,
        ):
            error = await failure(link)
            assert isinstance(error, NotConnected)
            assert error.info.code == "CAREBUS-TLS"
            assert error.info.summary == "the peer refused the client certificate"
            assert alert in (error.info.peer_code or "")
            assert not all(check.ok for check in await link.check())
            refusals = [line for line in live.services.logged if line.event == "link tls refused"]
            assert refusals[0].values["reason"] == "CERTIFICATE_VERIFY_FAILED"
            assert not live.accept.received

    @pytest.mark.parametrize(
        ("identity", "reason"),
        [
            ("expired", "certificate has expired"),
            ("misnamed", "not valid for 'localhost'"),
            ("stranger", "unable to get local issuer certificate"),
        ],
    )
    async def test_a_server_that_is_not_trusted(
        self, rig: TlsLinkSourceHarness, identity: str, reason: str
    ) -> None:
        shown: Identity = getattr(certificates(), identity)
        rig.settings = lambda: {  # type: ignore[method-assign]
            "port": rig.port,
            "tls": listening(shown),
            "peers": ["client"],
        }
        async with (
            running(rig) as live,
            linked(f"https://localhost:{rig.port}", tls=calling()) as link,
        ):
            error = await failure(link)
            assert isinstance(error, NotConnected)
            assert error.info.code == "CAREBUS-TLS"
            assert reason in error.info.summary
            assert not live.accept.received

    async def test_without_a_certificate_nobody_gets_in(self, rig: TlsLinkSourceHarness) -> None:
        async with running(rig) as live:
            try:
                peer = await rig.connect({"ca": str(certificates().ca)})
                await peer.offer(b"let me in")
                with pytest.raises(Gone):
                    await peer.answer()
            except (ssl.SSLError, Gone):
                pass
            friend = await rig.connect()
            await friend.offer(b"friend")
            assert await friend.answer() is Outcome.ACCEPTED
            assert live.accept.bodies == [b"friend"]

    async def test_a_profile_that_asks_for_no_certificate_does_not_open(
        self, rig: TlsLinkSourceHarness
    ) -> None:
        def lenient(_settings: Any, server: bool) -> ssl.SSLContext:
            return contexts({**listening(), "require_client_certificate": False}, server)

        source = rig.create(MemoryServices(tls=lenient))
        with pytest.raises(ConfigError) as caught:
            await source.open()
        assert caught.value.info.code == "CAREBUS-INSECURE"


class TestHarm:
    """Requests that no engine makes are refused, and the next peer is served."""

    KEY = "m-1.0123456789abcdef"

    async def _asked(self, port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        try:
            async with asyncio.timeout(5):
                return (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0]
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        finally:
            writer.close()

    @pytest.mark.parametrize(
        "path",
        [
            "/link/under-test/../under-test/m-1.0123456789abcdef",
            "/link/under-test/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
            "/link/under-test/..%2fspool.0123456789abcdef",
            "/link/under-test/m-1.0123456789abcdef/more",
            "/link/under-test/m-1.0123456789abcdef?channel=other",
            "/link//m-1.0123456789abcdef",
            "/link/under-test/",
            "//link/under-test/m-1.0123456789abcdef",
            "/",
        ],
    )
    async def test_no_path_leads_elsewhere(self, tmp_path: Path, path: str) -> None:
        async with receiving(tmp_path) as (url, live):
            port = int(url.rpartition(":")[2])
            digest = wire.digest_header(b"abc")
            request = (
                f"PUT {path} HTTP/1.1\r\nHost: x\r\nCarebus-Link: 1\r\nContent-Length: 2\r\n"
                f"Content-Range: bytes 0-1/3\r\nRepr-Digest: {digest}\r\n\r\nab"
            )
            assert b" 404 " in await self._asked(port, request.encode())
            assert not live.accept.received
        assert not (tmp_path / "spool").exists()

    async def test_a_body_that_breaks_off_is_no_message(self, tmp_path: Path) -> None:
        async with receiving(tmp_path) as (url, live), linked(url) as link:
            port = int(url.rpartition(":")[2])
            head = f"PUT /link/{HERE}/{self.KEY} HTTP/1.1\r\nHost: x\r\nCarebus-Link: 1\r\n"
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{head}Content-Length: 100\r\n\r\nMSH|half".encode())
            await writer.drain()
            writer.close()
            await link.send(outbound())
            assert live.accept.bodies == [b"MSH|one"]

    async def test_who_sends_byte_by_byte_is_cut_off(self, tmp_path: Path) -> None:
        rig = LinkSourceHarness(tmp_path)
        rig.settings = lambda: {  # type: ignore[method-assign]
            "port": rig.port,
            "arrival_timeout": "200ms",
        }
        async with running(rig) as live:
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(f"PUT /link/{HERE}/{self.KEY} HTTP/1.1\r\n".encode())
            cut = asyncio.create_task(reader.read())
            async with asyncio.timeout(5):
                while not cut.done():
                    writer.write(b"A: b\r\n")
                    await asyncio.wait([cut], timeout=0.05)
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            async with linked(f"http://127.0.0.1:{rig.port}") as link:
                await link.send(outbound())
            assert live.accept.bodies == [b"MSH|one"]
        await rig.stop()

    async def test_gzip_that_grows_without_end_is_refused(self, tmp_path: Path) -> None:
        bomb = wire.compressed(bytes(64 * 1024 * 1024))
        assert bomb is not None
        async with receiving(tmp_path, message=1024 * 1024) as (url, live):
            head = (
                f"PUT /link/{HERE}/{self.KEY} HTTP/1.1\r\nHost: x\r\nCarebus-Link: 1\r\n"
                f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
            )
            answer = await self._asked(int(url.rpartition(":")[2]), head.encode() + bomb)
            assert b" 413 " in answer
            assert not live.accept.received
