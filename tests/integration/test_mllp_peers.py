"""The mllp connector with peers of other makes: python-hl7, simple-hl7 (Node.js), openssl."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hl7
import pytest
from hl7.client import MLLPClient
from hl7.mllp import start_hl7_server

from connectors.mllp.destination import MllpDestination
from connectors.mllp.settings import MllpListenerSettings, MllpSenderSettings
from connectors.mllp.source import MllpSource
from engine.contract import (
    ChannelName,
    Message,
    MessageId,
    Outbound,
    Outcome,
    Payload,
    RejectedError,
)
from engine.security.tls import TlsSettings, client_context, server_context
from engine.testing.accepting import RecordingAccept
from engine.testing.peers import free_port
from engine.testing.services import MemoryServices
from tests.conformance.certificates import certificates

ADT = (
    "MSH|^~\\&|HIS|WARD|CB|H|20260102030405||ADT^A01^ADT_A01|PEER-{}|P|2.5||||||UNICODE UTF-8\r"
    "EVN|A01|20260102030405\r"
    "PID|1||77^^^HIS||测试^病人||19700101|F\r"
    "PV1|1|I|W^1^2\r"
)
NODE = Path(__file__).parents[2] / "build" / "node" / "node_modules"


def adt(number: int) -> bytes:
    return ADT.format(number).encode()


def outbound(body: bytes) -> Outbound:
    payload = Payload(body, "application/hl7-v2")
    id = MessageId("00000000-0000-7000-8000-000000000001")
    return Outbound(Message(id, ChannelName("origin"), payload, datetime.now(UTC)), payload)


@asynccontextmanager
async def listening(
    accept: RecordingAccept, *, tls: dict[str, Any] | None = None
) -> AsyncIterator[int]:
    def contexts(settings: Any, server: bool) -> Any:
        make = server_context if server else client_context
        return make(TlsSettings.model_validate(settings))

    source = MllpSource(MllpListenerSettings(port=0, tls=tls), MemoryServices(tls=contexts))
    await source.open()
    task = asyncio.create_task(source.run(accept))
    await asyncio.sleep(0)  # from here on it listens
    try:
        yield source.port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close(timedelta(seconds=1))


@asynccontextmanager
async def sending(port: int) -> AsyncIterator[MllpDestination]:
    settings = MllpSenderSettings(host="127.0.0.1", port=port, reply_timeout=timedelta(seconds=5))
    destination = MllpDestination(settings, MemoryServices())
    await destination.open()
    try:
        yield destination
    finally:
        await destination.close(timedelta(seconds=1))


@asynccontextmanager
async def node(script: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Node.js process with simple-hl7.  Fails, saying what to install, when there is none."""
    program = shutil.which("node")
    assert program, "node is missing: install Node.js 18 or newer, then run tests/install-peers"
    assert (NODE / "simple-hl7").is_dir(), "simple-hl7 is missing: run tests/install-peers"
    process = await asyncio.create_subprocess_exec(
        *(program, "-e", script, *arguments),
        cwd=NODE.parent,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The next line that the process prints, which is JSON."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        text = await process.stdout.readline()
    assert text, "the process ended without a word"
    said: dict[str, Any] = json.loads(text)
    return said


async def test_python_hl7_sends() -> None:
    accept = RecordingAccept()
    async with listening(accept) as port:

        def send() -> list[bytes]:
            with MLLPClient("127.0.0.1", port) as client:
                return [client.send_message(hl7.parse(ADT.format(number))) for number in range(20)]

        answers = await asyncio.to_thread(send)
    for number, answer in enumerate(answers):
        read = hl7.parse(answer.strip(b"\x0b\x1c\r").decode() + "\r")
        assert str(read.segment("MSA")[1]) == "AA"
        assert str(read.segment("MSA")[2]) == f"PEER-{number}"
    assert accept.bodies == [adt(number) for number in range(20)]


async def test_python_hl7_is_refused() -> None:
    accept = RecordingAccept(Outcome.REJECTED)
    async with listening(accept) as port:

        def send() -> bytes:
            with MLLPClient("127.0.0.1", port) as client:
                return client.send_message(hl7.parse(ADT.format(1)))

        answer = await asyncio.to_thread(send)
    read = hl7.parse(answer.strip(b"\x0b\x1c\r").decode() + "\r")
    assert str(read.segment("MSA")[1]) == "AR"
    assert str(read.segment("ERR")[4]) == "E"


async def test_python_hl7_receives() -> None:
    got: list[str] = []

    async def serve(reader: Any, writer: Any) -> None:
        try:
            while True:
                message = await reader.readmessage()
                got.append(str(message))
                code = "AR" if len(got) == 3 else "AA"
                writer.writemessage(message.create_ack(ack_code=code))
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    port = free_port()
    server = await start_hl7_server(serve, "127.0.0.1", port, encoding="utf-8")
    async with server, sending(port) as destination:
        for number in (1, 2):
            delivered = await destination.send(outbound(adt(number)))
            assert delivered.reply is not None
            assert f"MSA|AA|PEER-{number}".encode() in delivered.reply.body
        with pytest.raises(RejectedError) as caught:
            await destination.send(outbound(adt(3)))
        assert caught.value.info.peer_code == "AR"
        await destination.send(outbound(adt(4)))
    assert got == [ADT.format(number) for number in (1, 2, 3, 4)]


_SIMPLE_HL7_SENDS = """
const hl7 = require('./node_modules/simple-hl7');
const [port, count] = process.argv.slice(1).map(Number);
const client = hl7.Server.createTcpClient({host: '127.0.0.1', port, keepalive: true});
let sent = 0;
const next = () => {
  if (sent === count) { client.close(); return; }
  sent += 1;
  const msg = new hl7.Message('EPIC', 'ADT', 'CB', 'H', '20260102', '', ['ADT', 'A04'], 'N' + sent,
                              'P', '2.5');
  msg.addSegment('PID', '', '', ['77', '', '', 'HIS'], '', ['测试', '病人']);
  client.send(msg, (err, ack) => {
    const msa = ack && ack.getSegment('MSA');
    console.log(JSON.stringify({err, code: msa && msa.getField(1), of: msa && msa.getField(2)}));
    setImmediate(next);
  });
};
next();
"""

_SIMPLE_HL7_RECEIVES = """
const hl7 = require('./node_modules/simple-hl7');
const app = hl7.tcp();
app.use((req, res, next) => {
  const id = req.msg.header.getField(8);
  console.log(JSON.stringify({id, name: req.msg.getSegment('PID').getComponent(5, 1)}));
  if (id === 'PEER-2') res.ack.getSegment('MSA').setField(1, 'AR');
  res.end();
});
app.start(Number(process.argv[1]));
console.log(JSON.stringify({listening: true}));
"""


async def test_simple_hl7_sends() -> None:
    accept = RecordingAccept()
    async with listening(accept) as port, node(_SIMPLE_HL7_SENDS, str(port), "5") as process:
        for number in range(1, 6):
            said = await line(process)
            assert said == {"err": None, "code": "AA", "of": f"N{number}"}
    assert len(accept.bodies) == 5
    assert "测试^病人".encode() in accept.bodies[0]


async def test_simple_hl7_receives() -> None:
    port = free_port()
    async with node(_SIMPLE_HL7_RECEIVES, str(port)) as process:
        assert await line(process) == {"listening": True}
        async with sending(port) as destination:
            delivered = await destination.send(outbound(adt(1)))
            assert delivered.reply is not None
            assert (await line(process))["name"] == "测试"
            with pytest.raises(RejectedError) as caught:
                await destination.send(outbound(adt(2)))
            assert caught.value.info.code == "MLLP-REJECTED"
            await destination.send(outbound(adt(3)))


async def test_openssl_client_with_certificate() -> None:
    made = certificates()
    tls = {
        "certificate": str(made.server.certificate),
        "key": str(made.server.key),
        "ca": str(made.ca),
        "require_client_certificate": True,
    }
    accept = RecordingAccept()
    async with listening(accept, tls=tls) as port:
        process = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"),
            *("-CAfile", str(made.ca), "-verify_return_error", "-verify_ip", "127.0.0.1"),
            *("-cert", str(made.client.certificate), "-key", str(made.client.key)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for number in (1, 2):
                process.stdin.write(b"\x0b" + adt(number) + b"\x1c\r")
                async with asyncio.timeout(20):
                    answer = await process.stdout.readuntil(b"\x1c\r")
                assert f"MSA|AA|PEER-{number}\r".encode() in answer
        finally:
            process.kill()
            await process.communicate()
    assert accept.bodies == [adt(1), adt(2)]
