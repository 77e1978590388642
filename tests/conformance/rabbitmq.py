"""A place for brokers on the RabbitMQ node of this run: queues of its own on a shared node."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pika

from engine.broker.rabbitmq.address import Address, read_address
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.broker.rabbitmq.topology import lane_plan
from engine.contract import Broker
from engine.testing.broker import FREE, ORDERED, BrokerName
from tests.servers.rabbitmq import shared_node

_places = itertools.count()


class RabbitHarness:
    spec = BrokerName("rabbitmq")
    lacks: Mapping[str, str] = {}
    broker: Callable[[Address], Broker] = RabbitBroker

    def __init__(self, _folder: Any) -> None:
        self.node = shared_node()
        self.address = replace(
            read_address(self.node.url), prefix=f"test{os.getpid()}.{next(_places)}"
        )
        self.limited: list[str] = []

    async def start(self) -> None: ...

    async def stop(self) -> None:
        for name in self.limited:
            await asyncio.to_thread(self.node.ctl, "clear_policy", name)

    def create(self) -> Broker:
        return type(self).broker(self.address)

    async def restart(self) -> None:
        await asyncio.to_thread(self._restart)

    def _restart(self) -> None:
        self.node.stop()
        self.node.start()

    async def refuse(self, queue: str) -> None:
        spec = ORDERED if queue == ORDERED.name else FREE
        name = lane_plan(self.address.prefix, spec).lane.name
        self.limited.append(name)
        await asyncio.to_thread(self._fill, name)

    def _fill(self, queue: str) -> None:
        """Over a limit that a policy sets: the broker looks at it when a publisher begins."""
        limit = '{"max-length": 1, "overflow": "reject-publish"}'
        self.node.ctl("set_policy", "--apply-to", "queues", queue, f"^{queue}$", limit)
        with pika.BlockingConnection(pika.URLParameters(self.node.url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            with contextlib.suppress(pika.exceptions.NackError):
                for _ in range(10):
                    channel.basic_publish("", queue, b"in the way")

    async def cut(self) -> None:
        await asyncio.to_thread(self.node.ctl, "close_all_connections", "cut by a test")
