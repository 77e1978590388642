"""The broker's promises: the embedded broker keeps them, and wrong ones are caught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest

from engine.broker.embedded import EmbeddedBroker, _Lease, _Queue
from engine.contract import Broker, Envelope
from engine.testing.broker import BrokerConformance, BrokerName
from engine.testing.promises import broken_promises
from tests.conformance.rabbitmq import RabbitHarness


class EmbeddedHarness:
    spec = BrokerName("embedded")
    lacks: Mapping[str, str] = {
        "nacks": "a publish is one step in memory: it is in the queue, or it raised",
        "durable": "the outbox in the store is its durability: see tests of the flow",
        "network": "it lives in the engine's own process, and a publish never waits",
    }
    broker: Callable[[], Broker] = EmbeddedBroker

    def __init__(self, _folder: Any) -> None:
        pass

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def create(self) -> Broker:
        return type(self).broker()

    async def restart(self) -> None: ...
    async def refuse(self, queue: str) -> None: ...
    async def cut(self) -> None: ...


class TestEmbeddedBroker(BrokerConformance):
    harness = EmbeddedHarness


class TestRabbitBroker(BrokerConformance):
    harness = RabbitHarness


class Drops(EmbeddedBroker):
    """Confirms envelopes for a queue that nobody declared."""

    async def publish(self, queue: str, envelopes: Sequence[Envelope]) -> None:
        if queue in self._queues:
            await super().publish(queue, envelopes)


class _Patched(EmbeddedBroker):
    """A broker with one method of its queues or leases exchanged while it is declared."""

    queue: type[_Queue] = _Queue

    async def declare(self, queues: Sequence[Any]) -> None:
        for spec in queues:
            self._queues.setdefault(spec.name, self.queue(spec, self._now))


class _EarlyQueue(_Queue):
    def give_back(self, envelope: Envelope, after: timedelta | None) -> None:
        super().give_back(envelope, None if after is None else after / 4)


class _OvertakingQueue(_Queue):
    def give_back(self, envelope: Envelope, after: timedelta | None) -> None:
        super().give_back(envelope, after)
        self.ready.rotate(-1)


class _BottomlessQueue(_Queue):
    def publish(self, envelopes: Sequence[Envelope]) -> None:
        self.ready.extend((None, envelope) for envelope in envelopes)
        self.wake(len(envelopes))


class _ForgetfulQueue(_Queue):
    def give_back(self, envelope: Envelope, after: timedelta | None) -> None:
        if after is not None:
            super().give_back(envelope, after)


def _with(queue: type[_Queue]) -> type[EmbeddedBroker]:
    return type(queue.__name__, (_Patched,), {"queue": queue})


@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        (Drops, {"B1"}),
        (_with(_EarlyQueue), {"B8"}),
        (_with(_OvertakingQueue), {"B7", "B11"}),
        (_with(_BottomlessQueue), {"B13"}),
        (_with(_ForgetfulQueue), {"B6", "B7", "B14"}),
    ],
)
async def test_wrong_brokers_are_caught(wrong: type[EmbeddedBroker], caught: set[str]) -> None:
    harness = type("Harness", (EmbeddedHarness,), {"broker": wrong})
    assert set(await broken_promises(BrokerConformance, harness)) == caught


async def test_a_lease_that_may_be_settled_twice_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ack(lease: _Lease) -> None:
        if id(lease) in lease._consumer._open:
            lease._consumer.settled(lease)

    monkeypatch.setattr(_Lease, "ack", ack)
    assert set(await broken_promises(BrokerConformance, EmbeddedHarness)) == {"B4"}
