"""Two real engines and a link: each message is in the other store once, whatever happens between.

Both engines are processes of their own with embedded broker and SQLite; the receiving one is killed
with SIGKILL, and the line between them is cut, at random moments under load.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bench.link import CHANNEL, Pair, pair, stored, taken
from bench.messages import MARK, adt
from engine.contract import MessageId, MessageStore, Query
from engine.demo.child import free_ports
from engine.demo.sender import Outgoing, SendingSystem
from tests.faults.crash import Witness
from tests.integration.line import Line

MESSAGES = 500
CONNECTIONS = 4
PATIENTS = 20  # a multiple of the connections: each patient has one
KILLS = 3


def numbered(index: int) -> Iterator[Outgoing]:
    for number in range(index, MESSAGES, CONNECTIONS):
        frame = adt(number, number % PATIENTS)
        control_id = f"{MARK.decode()}{number:010d}"
        yield Outgoing(control_id, str(number % PATIENTS), frame[1:-2])


async def disturbed(two: Pair, line: Line, chance: random.Random) -> None:
    """Kill the receiving engine and start it again, and cut the line in between."""
    for _ in range(KILLS):
        await two.region.ready()
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        line.cut()
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        line.cut_after = line.passed + chance.randrange(20_000)
        await asyncio.sleep(chance.uniform(0.1, 0.3))
        await two.region.kill()
        await two.region.start()
    await two.region.ready()


async def everything_sent(two: Pair) -> None:
    while True:
        status = await two.hospital.status()
        if status and not sum(one.waiting + one.retrying for one in status.channels):
            return
        await asyncio.sleep(0.1)


async def origins(store: MessageStore, ids: list[str]) -> list[str]:
    """Of each message, its id at the engine that sent it."""
    found = [(await store.load(MessageId(id))).attributes for id in ids]
    assert {one["link.engine"] for one in found} == {"client"}
    assert {one["link.channel"] for one in found} == {"load-in"}
    return [one["link.message"] for one in found]


@pytest.mark.timeout(180)
async def test_each_message_is_in_the_other_store_once(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    port = free_ports(1)[0]
    line = Line(port)
    async with line.up(), pair(tmp_path, over=(port, line.port)) as two:
        await two.region.start()
        await two.hospital.start()
        await two.hospital.ready()
        senders = [
            SendingSystem(two.intake, numbered(index), Witness(), rate=25.0)
            for index in range(CONNECTIONS)
        ]
        async with asyncio.timeout(150), asyncio.TaskGroup() as tasks:
            tasks.create_task(disturbed(two, line, chance))
            for sender in senders:
                tasks.create_task(sender.run())
        async with asyncio.timeout(30):
            await everything_sent(two)
        for engine in (two.hospital, two.region):
            assert await engine.stop(timedelta(seconds=20)) == 0, engine.last_words()

        async with stored(two.hospital) as store:
            sent = await taken(store, "load-in")
        async with stored(two.region) as store:
            arrived = await taken(store, CHANNEL)
            origin = await origins(store, [id for _, id in arrived])
            (found,) = await store.search(Query(keys={"origin": sent[0][1]}))
    assert len(sent) == MESSAGES
    assert Counter(origin) == Counter(id for _, id in sent)
    assert found.control_id == sent[0][0]
    latest: dict[int, int] = {}
    for control_id, _ in arrived:
        number = int(control_id[len(MARK) :])
        assert latest.get(number % PATIENTS, -1) < number, "order was not kept"
        latest[number % PATIENTS] = number
