"""The simulated systems, each against the other over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from bench.sinks import MllpSink
from engine.demo.child import free_ports, taken_port
from engine.demo.emr import Emr
from engine.demo.sender import Outgoing, Patience, SendingSystem, answer_code
from engine.demo.ward import Ward

BRISK = Patience(answer=0.5, reconnect=0.01, refused=0.01)


class Journal:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answered: list[str] = []
        self.codes: list[str] = []
        self.began = asyncio.Event()
        self.refused_twice = asyncio.Event()

    def sending(self, message: Outgoing) -> None:
        self.sent.append(message.control_id)
        self.began.set()

    def acknowledged(self, message: Outgoing) -> None:
        self.answered.append(message.control_id)

    def refused(self, message: Outgoing, code: str) -> None:
        self.codes.append(code)
        if len(self.codes) == 2:
            self.refused_twice.set()


def outgoing(count: int) -> Iterator[Outgoing]:
    for number in range(count):
        control_id = f"DEMO0000000H{number:08d}"
        header = f"MSH|^~\\&|HIS|A|B|C|20260301||ADT^A01|{control_id}|P|2.5.1\r"
        yield Outgoing(control_id, "1", header.encode())


async def test_the_ward_answers_every_message() -> None:
    arrived: list[str | None] = []
    journal = Journal()
    (port,) = free_ports(1)
    async with Ward(port, arrived.append), asyncio.timeout(10):
        await SendingSystem(port, outgoing(50), journal, patience=BRISK).run()
    assert journal.answered == journal.sent == arrived
    assert len(arrived) == 50


async def test_a_port_that_somebody_listens_on_is_found() -> None:
    free, port = free_ports(2)
    async with Ward(port, lambda _: None):
        assert taken_port([free, port]) == port
    assert taken_port([free, port]) is None


async def test_a_message_without_an_answer_is_sent_again_on_a_new_connection() -> None:
    journal = Journal()
    (port,) = free_ports(1)
    sink = MllpSink()
    sink.mode = "silent"
    await sink.up(port)
    sending = asyncio.create_task(SendingSystem(port, outgoing(2), journal, patience=BRISK).run())
    async with asyncio.timeout(10):
        await journal.began.wait()
        await sink.down()
        sink.mode = "ok"
        await sink.up(port)
        await sending
        await sink.down()
    assert journal.answered == ["DEMO0000000H00000000", "DEMO0000000H00000001"]
    assert journal.sent.count("DEMO0000000H00000000") >= 2


async def test_a_refused_message_is_sent_again() -> None:
    journal = Journal()
    (port,) = free_ports(1)
    sink = MllpSink()
    sink.mode = "503"
    await sink.up(port)
    sending = asyncio.create_task(SendingSystem(port, outgoing(1), journal, patience=BRISK).run())
    async with asyncio.timeout(10):
        await journal.refused_twice.wait()
        sink.mode = "ok"
        await sending
    await sink.down()
    assert set(journal.codes) == {"AE"}
    assert journal.answered == ["DEMO0000000H00000000"]


def test_an_answer_to_another_message_is_no_answer() -> None:
    answer = b"\x0bMSH|^~\\&|A\rMSA|AA|OTHER\r\x1c\r"
    with pytest.raises(EOFError):
        answer_code(answer, b"MINE")
    assert answer_code(answer, b"OTHER") == b"AA"


@pytest.fixture
async def emr() -> AsyncIterator[tuple[Emr, list[str | None], aiohttp.ClientSession]]:
    arrived: list[str | None] = []
    (port,) = free_ports(1)
    async with Emr(port, arrived.append) as running, aiohttp.ClientSession() as client:
        yield running, arrived, client


def bundle(control_id: str, *identifiers: str) -> dict[str, object]:
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "identifier": {"value": control_id},
        "entry": [
            {
                "resource": {
                    "resourceType": "Patient",
                    "identifier": [{"system": "urn:x", "value": value}],
                },
                "request": {"method": "POST", "url": "Patient"},
            }
            for value in identifiers
        ],
    }


async def test_the_emr_takes_a_transaction_and_knows_a_copy(
    emr: tuple[Emr, list[str | None], aiohttp.ClientSession],
) -> None:
    running, arrived, client = emr
    url = f"http://127.0.0.1:{running.port}/fhir"
    statuses = []
    for _ in range(2):
        async with client.post(url, json=bundle("DEMO0000000H00000007", "1", "2")) as response:
            assert response.status == 200
            answer = await response.json(content_type="application/fhir+json")
            statuses.append([entry["response"]["status"] for entry in answer["entry"]])
    assert statuses == [["201 Created"] * 2, ["200 OK"] * 2]
    assert running.resources == 2
    assert arrived == ["DEMO0000000H00000007"] * 2


async def test_the_emr_finds_by_an_identifier_what_was_put_under_an_id(
    emr: tuple[Emr, list[str | None], aiohttp.ClientSession],
) -> None:
    running, _, client = emr
    url = f"http://127.0.0.1:{running.port}/fhir"
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:x y", "value": "1"}]}
    locations = []
    for request in (
        {"method": "PUT", "url": "Patient/a"},
        {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn%3Ax%20y%7C1"},
        {"method": "PUT", "url": "Patient?identifier=urn%3Ax%20y%7C1"},
        {"method": "PUT", "url": "Patient/b"},  # another one, though it shares the identifier
    ):
        sent = {"resourceType": "Bundle", "type": "transaction"}
        entry = {"resource": patient, "request": request}
        async with client.post(url, json={**sent, "entry": [entry]}) as response:
            answer = await response.json(content_type="application/fhir+json")
            locations.append(answer["entry"][0]["response"]["location"])
    assert locations == [
        "Patient/1/_history/1",
        "Patient/1/_history/2",
        "Patient/1/_history/3",
        "Patient/2/_history/1",
    ]
    assert running.resources == 2


async def test_the_emr_refuses_what_is_no_fhir(
    emr: tuple[Emr, list[str | None], aiohttp.ClientSession],
) -> None:
    running, arrived, client = emr
    url = f"http://127.0.0.1:{running.port}/fhir"
    for body, expected in ((b"{", 400), (b"[]", 400), (b'{"resourceType":"Bundle"}', 422)):
        async with client.post(url, data=body) as response:
            assert response.status == expected
    async with client.delete(url) as response:
        assert response.status == 405
    assert arrived == []


async def test_the_emr_keeps_a_bounded_number_of_resources() -> None:
    (port,) = free_ports(1)
    async with (
        Emr(port, lambda _: None, limit=10) as running,
        aiohttp.ClientSession() as client,
    ):
        many = bundle("DEMO0000000H00000001", *(str(number) for number in range(50)))
        async with client.post(f"http://127.0.0.1:{port}/fhir", json=many) as response:
            assert response.status == 200
        assert running.resources == 10
