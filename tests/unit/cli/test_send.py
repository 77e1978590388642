"""The plain sender against real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from engine.cli.sending import address_of, control_id, read_messages
from tests.unit.cli.conftest import Carebus

ADT = b"MSH|^~\\&|HIS|A|B|C|20260101||ADT^A01|%s|P|2.5.1\rPID|||77\r"
Answer = Callable[[bytes], bytes | None]


class Peer:
    """Listens on a free port in a thread; answers each frame by ``answer``."""

    def __init__(self) -> None:
        self.received: SimpleQueue[bytes] = SimpleQueue()
        self.answer: Answer = lambda body: b"MSH|^~\\&|\rMSA|AA|%s\r" % control_id(body).encode()
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.expected = 1  # nothing is answered before so many have come
        self.port = 0

    async def mllp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                frame = await reader.readuntil(b"\x1c\r")
                while self.connections < self.expected:
                    await asyncio.sleep(0.001)
                self.received.put(frame[1:-2])
                answer = self.answer(frame[1:-2])
                if answer is None:
                    break
                writer.write(b"\x0b" + answer + b"\x1c\r")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.received.put(head + await reader.readexactly(length))
        status = self.answer(head) or b""
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()

    def bodies(self) -> list[bytes]:
        return [self.received.get() for _ in range(self.received.qsize())]


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _served(peer: Peer, handler: Serve) -> Iterator[Peer]:
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        peer.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        # A connection that was accepted just now has a task first, and then a writer.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for writer in peer.writers:
                writer.close()
            await asyncio.wait(others, timeout=0.1)
        for writer in peer.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert ready.wait(10)
    yield peer
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def mllp() -> Iterator[Peer]:
    peer = Peer()
    yield from _served(peer, peer.mllp)


@pytest.fixture
def http() -> Iterator[Peer]:
    peer = Peer()
    yield from _served(peer, peer.http)


@pytest.fixture
def adt(tmp_path: Path) -> Path:
    path = tmp_path / "adt.hl7"
    path.write_bytes(ADT % b"1")
    return path


def test_a_message_is_sent_and_its_answer_printed(carebus: Carebus, mllp: Peer, adt: Path) -> None:
    result = carebus("send", adt, "--to", f"mllp://127.0.0.1:{mllp.port}")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("AA\t1\t")
    assert mllp.bodies() == [ADT % b"1"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (b"MSH|^~\\&|\rMSA|AE|1\r", "AE\t"),
        (b"MSH|^~\\&|\rMSA|AR|1\r", "AR\t"),
        (b"MSH|^~\\&|\rMSA|AA|2\r", "AA for another message\t"),
        (b"hello", "no answer: no MSA segment\t"),
        (None, "no answer: "),
    ],
)
def test_anything_but_a_yes_exits_1(
    carebus: Carebus, mllp: Peer, adt: Path, answer: bytes | None, shown: str
) -> None:
    mllp.answer = lambda body: answer
    result = carebus("send", adt, "--to", f"mllp://127.0.0.1:{mllp.port}")
    assert result.exit_code == 1
    assert result.stdout.startswith(shown)
    assert "77" not in result.output.replace(str(mllp.port), "")


def test_many_go_over_several_connections_with_new_ids(
    carebus: Carebus, mllp: Peer, adt: Path
) -> None:
    mllp.expected = 4
    to = f"mllp://127.0.0.1:{mllp.port}"
    result = carebus("send", adt, "--to", to, "--count", 40, "--connections", 4, "--new-ids")
    assert result.exit_code == 0, result.output
    assert "40 acknowledged, 0 not" in result.stderr
    assert result.stdout == ""
    ids = {control_id(body) for body in mllp.bodies()}
    assert len(ids) == 40
    assert mllp.connections == 4


def test_a_connection_that_breaks_is_opened_again(
    carebus: Carebus, mllp: Peer, tmp_path: Path
) -> None:
    path = tmp_path / "three.hl7"
    path.write_bytes(b"".join(ADT % number for number in (b"1", b"2", b"3")))
    yes = mllp.answer
    mllp.answer = lambda body: None if control_id(body) == "2" else yes(body)
    result = carebus("send", path, "--to", f"mllp://127.0.0.1:{mllp.port}")
    assert result.exit_code == 1
    assert [line.split("\t")[0][:9] for line in result.stdout.splitlines()] == [
        "AA",
        "no answer",
        "AA",
    ]


def test_nobody_there_is_told_for_each_message(carebus: Carebus, adt: Path) -> None:
    result = carebus("send", adt, adt, "--to", "mllp://127.0.0.1:9")
    assert result.exit_code == 1
    assert result.stdout.count("not connected: ") == 2


@pytest.mark.parametrize(("status", "code"), [(b"201 Created", 0), (b"422 No", 1)])
def test_http_is_posted_with_its_type(
    carebus: Carebus, http: Peer, tmp_path: Path, status: bytes, code: int
) -> None:
    http.answer = lambda head: status
    path = tmp_path / "bundle.json"
    path.write_bytes(b'{"resourceType":"Bundle"}')
    to = f"http://127.0.0.1:{http.port}/fhir"
    result = carebus("send", path, "--to", to, "--header", "X-Key: k")
    assert result.exit_code == code, result.output
    [request] = http.bodies()
    assert request.startswith(b"POST /fhir HTTP/1.1")
    assert b"application/fhir+json" in request
    assert b"X-Key: k" in request
    assert request.endswith(b'{"resourceType":"Bundle"}')


@pytest.mark.parametrize(
    "to", ["127.0.0.1:2575", "mllp://host", "ftp://host:1/", "mllp://host:2575/path", "http:///x"]
)
def test_a_wrong_address_is_a_wrong_command(carebus: Carebus, adt: Path, to: str) -> None:
    assert carebus("send", adt, "--to", to).exit_code == 2
    with pytest.raises(ValueError, match="write mllp"):
        address_of(to)


def test_line_ends_and_frames_of_editors_are_mended() -> None:
    text = b"\xef\xbb\xbf\x0bMSH|^~\\&|A|B|C|D|E||ADT^A01|1\nPID|1\n\n"
    text += b"MSH|^~\\&|||||||X|2\r\nPID|2\x1c\r"
    assert [(one.name, one.body) for one in read_messages("f", text)] == [
        ("1", b"MSH|^~\\&|A|B|C|D|E||ADT^A01|1\rPID|1\r"),
        ("2", b"MSH|^~\\&|||||||X|2\rPID|2\r"),
    ]


def test_a_batch_stays_whole_and_what_is_no_hl7_stays_as_it_is() -> None:
    batch = b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|||||||X|2\rBTS|1\rFTS|1\r"
    assert [one.body for one in read_messages("f", batch)] == [batch]
    xml = b'<?xml version="1.0"?>\n<a/>\n'
    [one] = read_messages("a.xml", xml)
    assert (one.body, one.content_type, one.name) == (xml, "application/xml", "a.xml")
