"""A hospital of two systems for the flow's tests: a source that a test pushes into, a destination
that does what a test says, the real store and the real broker between them.

A message's body is ``KEY TEXT``; it is routed and ordered by its key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine.broker.embedded import EmbeddedBroker
from engine.config.model import Channel, Configuration, Ordering, RetryPolicy, Route, Target
from engine.contract import (
    Accept,
    Broker,
    ConnectorSpec,
    Delivered,
    Document,
    ErrorInfo,
    FormatError,
    Inbound,
    MapContext,
    MessageId,
    MessageSummary,
    Outbound,
    Payload,
    Query,
    Receipt,
    Role,
    Stage,
    State,
)
from engine.flow.engine import Engine
from engine.store import open_store

FAST = RetryPolicy(
    first=timedelta(milliseconds=10),
    max=timedelta(milliseconds=20),
    give_up=timedelta(seconds=1),
    jitter=0,
)
SOON = 5.0


@dataclass(frozen=True, slots=True)
class Words:
    text: str
    format: str = "words"


class WordsFormat:
    name = "words"

    def parse(self, payload: Payload, *, charset: str | None = None) -> Words:
        if b" " not in payload.body:
            raise FormatError(ErrorInfo("WORDS-1", "no key", Stage.RECEIVING))
        return Words(payload.body.decode())

    def write(self, tree: Any, *, charset: str | None = None) -> Payload:
        return Payload(str(tree).encode())

    def key(self, document: Document) -> str:
        return "WORDS"

    def control_id(self, document: Document) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Says:
    """An expression made of a function of the text."""

    function: Callable[[str], Any]

    def test(self, document: Any, context: MapContext) -> bool:
        return bool(self.function(document.text))

    def text(self, document: Any, context: MapContext) -> str | None:
        value = self.function(document.text)
        return None if value is None else str(value)


def key_of(text: str) -> str:
    return text.split(" ", 1)[0]


@dataclass(slots=True)
class Shouting:
    """A mapping to upper case."""

    name: str = "shout"
    version: str = "v1"
    function: Callable[[str], str] = str.upper

    def render(self, document: Any, context: MapContext, *, charset: str | None = None) -> Payload:
        return Payload(self.function(document.text).encode())


class Push:
    """A source; `push` offers a message as its peer would."""

    def __init__(self) -> None:
        self.accept: Accept | None = None
        self.opened = 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self, grace: timedelta) -> None: ...

    async def run(self, accept: Accept) -> None:
        self.accept = accept
        await asyncio.Event().wait()

    async def push(self, text: str, **facts: Any) -> Receipt:
        while self.accept is None:
            await asyncio.sleep(0.001)
        return await self.accept(
            Inbound(Payload(text.encode()), datetime.now(UTC), "10.0.0.1:4711", **facts)
        )


Script = Callable[[Outbound], "Exception | None"]


class Scripted:
    """A destination; ``script`` gives the error for a send, ``gate`` holds sends back."""

    def __init__(self) -> None:
        self.script: Script = lambda _: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.opening: Exception | None = None
        self.seen: list[str] = []  # every payload offered, in order
        self.delivered: list[Outbound] = []
        self.sending = 0
        self.peak = 0
        self.opened = 0

    async def open(self) -> None:
        self.opened += 1
        if self.opening is not None:
            raise self.opening

    async def close(self, grace: timedelta) -> None: ...

    async def send(self, outbound: Outbound) -> Delivered:
        self.sending += 1
        self.peak = max(self.peak, self.sending)
        try:
            self.seen.append(outbound.payload.body.decode())
            await self.gate.wait()
            await asyncio.sleep(0)
            error = self.script(outbound)
            if error is not None:
                raise error
            self.delivered.append(outbound)
            return Delivered(Payload(b"thanks"), "remote")
        finally:
            self.sending -= 1

    @property
    def texts(self) -> list[str]:
        return [outbound.payload.body.decode() for outbound in self.delivered]


class Given(BaseModel):
    """Settings that hold the plug-in itself."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    plug_in: Any


def given(settings: Given, _services: Any) -> Any:
    return settings.plug_in


ROLE = Role(Given, f"{__name__}:given")
SPEC = ConnectorSpec("given", "the test's own", source=ROLE, destination=ROLE)


def channel(name: str, direction: Any, plug_in: Any, **facts: Any) -> Channel:
    return Channel(
        name=name,
        system=name.upper(),
        direction=direction,
        spec=SPEC,
        role=ROLE,
        settings=Given(plug_in=plug_in),
        format=WordsFormat(),
        version=facts.pop("version", "1"),
        location=f"channels/{name}.yaml:1:1",
        **facts,
    )


def configuration(
    channels: Sequence[Channel], routes: Sequence[Route], version: str = "c1"
) -> Configuration:
    return Configuration(Path(), {each.name: each for each in channels}, tuple(routes), {}, version)


def route(name: str, *targets: Target, when: Any = None, origin: str = "in") -> Route:
    return Route(name, (origin,), when, targets, "r1", "routes.yaml:1:1")


@dataclass(slots=True)
class Hospital:
    engine: Engine
    source: Push
    peer: Scripted
    folder: Path
    extra: Mapping[str, Any] = field(default_factory=dict)

    async def push(self, text: str, **facts: Any) -> Receipt:
        return await self.source.push(text, **facts)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not condition():
                await asyncio.sleep(0.002)

    async def summary(self, message_id: MessageId | None) -> MessageSummary:
        assert message_id is not None
        found = await self.engine.store.search(Query(message_id=message_id))
        return found[0]

    async def states(self, message_id: MessageId | None) -> list[State]:
        """Of every event of the message's deliveries, in order."""
        assert message_id is not None
        return [event.state for event in await self.engine.store.history(message_id)]

    async def until_state(self, message_id: MessageId | None, state: State) -> MessageSummary:
        async with asyncio.timeout(SOON):
            while True:
                summary = await self.summary(message_id)
                if all(each.state is state for each in summary.deliveries):
                    return summary
                await asyncio.sleep(0.005)


def plain(source: Push, peer: Scripted, **outbound: Any) -> Configuration:
    """``in`` → shout → ``out``."""
    facts: dict[str, Any] = {"ordering": Ordering(), "retry": FAST, "on_uncertain": "hold"}
    return configuration(
        [
            channel("in", "inbound", source, index={"patient": Says(key_of)}),
            channel("out", "outbound", peer, **(facts | outbound)),
        ],
        [route("all", Target("out", "out", Shouting()))],  # type: ignore[arg-type]
    )


@asynccontextmanager
async def hospital(
    folder: Path,
    make: Callable[[Push, Scripted], Configuration] = plain,
    *,
    source: Push | None = None,
    peer: Scripted | None = None,
    broker: Broker | None = None,
    **engine: Any,
) -> AsyncIterator[Hospital]:
    """A running engine; drained at the end."""
    source, peer = source or Push(), peer or Scripted()
    made = Engine(
        make(source, peer),
        open_store("sqlite://", data=folder),
        broker or EmbeddedBroker(),
        **engine,
    )
    started = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(made.run(started.set))
        starting = tasks.create_task(started.wait())
        await asyncio.wait([running, starting], return_when=asyncio.FIRST_COMPLETED)
        try:
            yield Hospital(made, source, peer, folder)
        finally:
            peer.gate.set()
            made.request_stop()
            starting.cancel()
            await running
