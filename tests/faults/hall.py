"""A hospital under fault: engines, their servers, senders that never give up, one receiver.

Whatever a fault does to it, the outside stays the same: each sender sends its messages one after
the other and repeats each until it is acknowledged; the receiver remembers what arrives, in order.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.messages import MARK, adt
from bench.project import REPOSITORY
from bench.sinks import HttpSink
from engine.demo.child import EngineChild, free_ports
from engine.demo.sender import Outgoing, Patience, SendingSystem
from tests.faults.audit import Evidence, Verdict, audit
from tests.faults.crash import Witness, stored_copies
from tests.faults.senders import HttpSendingSystem, http_message
from tests.servers.postgresql import PostgresServer
from tests.servers.rabbitmq import RabbitNode

MLLP: Final = 4
HTTP: Final = 2
PATIENTS: Final = 60  # a multiple of the connections: each patient has one
PACE: Final = 40.0  # messages a second of each connection: load, and not a race for the machine
QUIET: Final = 20.0  # seconds without an arrival after which what is missing is lost
RECOVERY: Final = timedelta(seconds=90)

_SOURCES: Final = {
    "his-in": """\
system: HIS
direction: inbound
connector: mllp
settings: {{host: 127.0.0.1, port: {mllp}}}
format: hl7v2
duplicates: {{key: [MSH-10], within: 24h}}
""",
    "app-in": """\
system: APP
direction: inbound
connector: http
settings: {{host: 127.0.0.1, port: {http}, path: /in, content_types: [application/json]}}
format: json
index: {{patient: $src.patient, order: $src.id}}
duplicates: {{key: [$src.id], within: 24h}}
""",
}
_TARGET: Final = """\
system: EMR
direction: outbound
connector: {connector}
settings: {{url: "http://127.0.0.1:{sink}/{connector}", timeout: {answer_within}}}
format: {format}
ordering: {{key: patient, lanes: 4}}
retry: {{first: 50ms, factor: 2, max: 500ms}}
on_uncertain: retry
"""
_ROUTES: Final = """\
routes:
  - name: admissions
    from: his-in
    to: [{channel: emr, mapping: mapping-adt}]
  - name: orders
    from: app-in
    to: [{channel: portal}]
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """What the engines share; None: the embedded broker, a SQLite file."""

    postgresql: PostgresServer | None = None
    rabbitmq: Sequence[RabbitNode] = ()
    store_url: str | None = None
    broker_url: str | None = None

    def environ(self) -> dict[str, str]:
        given = {"CAREBUS_STORE_URL": self.store_url, "CAREBUS_BROKER_URL": self.broker_url}
        return {name: url for name, url in given.items() if url is not None}


class TimedSink(HttpSink):
    """Knows its longest time without an arrival."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps = Gaps()

    def take(self, body: bytes) -> bool:
        self.gaps.seen()
        return super().take(body)


class Gaps:
    """The longest time between two sightings, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last: float | None = None

    def seen(self) -> None:
        now = time.monotonic()
        if self._last is not None:
            self.longest = max(self.longest, now - self._last)
        self._last = now


class TimedWitness(Witness):
    def __init__(self) -> None:
        super().__init__()
        self.gaps = Gaps()

    def acknowledged(self, message: Outgoing) -> None:
        self.gaps.seen()
        super().acknowledged(message)


@dataclass(slots=True)
class Hall:
    """Everything a fault may lay hands on."""

    root: Path
    engines: Sequence[EngineChild]
    servers: Servers
    sink: TimedSink
    sink_port: int
    witness: TimedWitness
    chance: random.Random
    senders: Sequence[SendingSystem] = ()
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def engine(self) -> EngineChild:
        return self.engines[0]

    async def pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self.chance.uniform(least, most))

    async def moving(self) -> None:
        """Return when messages of every connection are taken and delivered again.

        Raises TimeoutError after `RECOVERY`."""
        acknowledged, delivered = len(self.witness.answered), len(self.sink.numbers)
        wanted = 2 * (MLLP + HTTP)
        async with asyncio.timeout(RECOVERY.total_seconds()):
            while (
                len(self.witness.answered) - acknowledged < wanted
                or len(self.sink.numbers) - delivered < wanted
            ):
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Return when all that was acknowledged has arrived, or nothing arrives any more."""
        seen, since = -1, time.monotonic()
        while set(self.witness.answered).difference(self.sink.numbers):
            if len(self.sink.numbers) != seen:
                seen, since = len(self.sink.numbers), time.monotonic()
            if time.monotonic() - since > QUIET:
                return
            await asyncio.sleep(0.1)

    async def verdict(self) -> Verdict:
        """Of a finished run; the engines have stopped, the store can be read."""
        arrivals = list(self.sink.numbers)
        seen: set[int] = set()
        repeated = sorted({one for one in arrivals if one in seen or seen.add(one)})  # type: ignore[func-returns-value]
        copies = await stored_copies(self.engine.data, repeated, self.servers.store_url)
        return audit(
            Evidence(
                sends=self.witness.sends,
                acknowledged=self.witness.answered,
                delivered=arrivals,
                key=lambda number: number % PATIENTS,
                copies=lambda number: copies[number],
            )
        )


@asynccontextmanager
async def hall(
    root: Path,
    servers: Servers,
    chance: random.Random,
    *,
    engines: int = 1,
    processes: int = 1,
    answer_within: str = "2s",
    environ: dict[str, str] | None = None,
    data: Path | None = None,
) -> AsyncIterator[Hall]:
    """A hospital at work: every engine is ready, every sender sends.  ``answer_within`` is how long
    an engine waits for the receiver's answer.  On leaving everything is stopped."""
    sink, witness = TimedSink(), TimedWitness()
    ports = free_ports(2 * engines + 1)
    sink_port = ports.pop()
    await sink.up(sink_port)
    children = []
    for number in range(engines):
        project = root / f"engine{number}"
        write_project(
            project, mllp=ports[2 * number], http=ports[2 * number + 1], sink=sink_port,
            answer_within=answer_within,
        )  # fmt: skip
        options = ("--processes", str(processes)) if processes > 1 else ()
        children.append(
            EngineChild(
                project,
                data or project / "var",
                log=project / "engine.log",
                options=options,
                environ={**servers.environ(), **(environ or {})},
            )
        )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(sink.down)
        made = Hall(root, children, servers, sink, sink_port, witness, chance)
        for child in children:
            await stack.enter_async_context(child)
            await child.start()
        for child in children:
            await child.ready()
        made.senders = senders(ports, witness)
        sending = [asyncio.create_task(sender.run()) for sender in made.senders]

        async def stop_sending() -> None:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

        stack.push_async_callback(stop_sending)
        made.extra["sending"] = sending
        yield made


async def finished(made: Hall) -> Verdict:
    """Let the senders end, everything arrive, the engines stop; then judge."""
    for sender in made.senders:
        sender.stop()
    sending = made.extra["sending"]
    assert isinstance(sending, list)
    async with asyncio.timeout(RECOVERY.total_seconds()):
        await asyncio.gather(*sending)
    await made.settled()
    for engine in made.engines:
        status = await engine.stop(timedelta(seconds=30))
        assert status == 0, f"an engine ended with {status}:\n{engine.last_words()}"
    return await made.verdict()


def senders(ports: Sequence[int], witness: Witness) -> list[SendingSystem]:
    """``ports``: MLLP and HTTP of each engine in turn.  The first engine of each sender differs."""
    total = MLLP + HTTP
    mllp, http = ports[0::2], ports[1::2]
    patience = Patience(answer=15.0, reconnect=0.05)
    made = []
    for index in range(total):
        kind, where = (SendingSystem, mllp) if index < MLLP else (HttpSendingSystem, http)
        turn = index % len(where)
        numbered = _messages(index, total, rest=index >= MLLP)
        rotated = [*where[turn:], *where[:turn]]
        made.append(kind(rotated, numbered, witness, rate=PACE, patience=patience))
    return made


def _messages(index: int, step: int, *, rest: bool) -> Iterator[Outgoing]:
    number = index
    while True:
        patient = number % PATIENTS
        if rest:
            yield http_message(MARK.decode(), number, patient)
        else:
            frame = adt(number, patient)
            yield Outgoing(f"{MARK.decode()}{number:010d}", str(patient), frame[1:-2])
        number += step


def write_project(root: Path, *, mllp: int, http: int, sink: int, answer_within: str) -> None:
    """The same channels and routes for every engine; only the ports differ."""
    (root / "channels").mkdir(parents=True)
    (root / "mappings").mkdir()
    shutil.copy(REPOSITORY / "bench" / "mapping-adt.yaml", root / "mappings")
    for name, text in _SOURCES.items():
        (root / "channels" / f"{name}.yaml").write_text(text.format(mllp=mllp, http=http), "utf-8")
    for name, connector, format_ in (("emr", "fhir", "fhir"), ("portal", "http", "json")):
        text = _TARGET.format(
            connector=connector, format=format_, sink=sink, answer_within=answer_within
        )
        (root / "channels" / f"{name}.yaml").write_text(text, "utf-8")
    (root / "routes.yaml").write_text(_ROUTES, "utf-8")
