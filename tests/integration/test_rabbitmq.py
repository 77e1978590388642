"""RabbitMQ at its worst: alarms, deletions, hangs, kill -9, and consumers that take hours."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.broker.rabbitmq import feed, publisher
from engine.broker.rabbitmq.address import Address, read_address
from engine.broker.rabbitmq.broker import RabbitBroker
from engine.broker.rabbitmq.topology import lane_plan
from engine.cli.broker import open_broker
from engine.contract import BrokerUnavailable, ConfigError, LeaseLost, QueueSpec
from engine.testing.broker import envelope, taken
from tests.integration.authority import Authority
from tests.servers.rabbitmq import NodeTls, RabbitNode, rabbit_nodes, shared_node

ORDERED = QueueSpec("lab", ordered=True)
FREE = QueueSpec("archive", ordered=False)
GRACE = timedelta(seconds=2)
_prefixes = itertools.count()


@pytest.fixture(name="node")
def _node() -> RabbitNode:
    return shared_node()


def address_at(*nodes: RabbitNode, **facts: object) -> Address:
    address = replace(
        read_address(nodes[0].url),
        hosts=tuple(("127.0.0.1", node.port) for node in nodes),
        prefix=f"it{os.getpid()}.{next(_prefixes)}",
    )
    return replace(address, **facts)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(address: Address, *queues: QueueSpec) -> AsyncIterator[RabbitBroker]:
    broker = RabbitBroker(address)
    await broker.open()
    try:
        await broker.declare(queues or (ORDERED, FREE))
        yield broker
    finally:
        await broker.close(GRACE)


async def received(broker: RabbitBroker, count: int, spec: QueueSpec = ORDERED) -> list[int]:
    async with broker.consume(spec.name, prefetch=10) as leases:
        seen = []
        async with asyncio.timeout(45):
            while len(seen) < count:
                lease = await anext(leases)
                seen.append(int(lease.envelope.delivery))
                await lease.ack()
        await settled(broker, spec)
    return seen


async def settled(broker: RabbitBroker, spec: QueueSpec) -> None:
    await until(lambda: _empty(broker, spec))


async def _empty(broker: RabbitBroker, spec: QueueSpec) -> bool:
    stats = await broker.stats(spec.name)
    return stats.ready == stats.leased == 0


async def until(true: Callable[[], Awaitable[bool]], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await true():
            await asyncio.sleep(0.05)


async def ctl(node: RabbitNode, *arguments: str) -> None:
    await asyncio.to_thread(node.ctl, *arguments)


# --- waiting longer than the broker allows --------------------------------------------------------


@pytest.fixture(name="impatient")
def _impatient(node: RabbitNode) -> Iterator[RabbitNode]:
    """Ends every channel that holds a delivery for two seconds, and looks twice a second."""
    set_env = "application:set_env(rabbit, {}, {})."
    node.ctl("eval", set_env.format("consumer_timeout", 2000))
    node.ctl("eval", set_env.format("channel_tick_interval", 500))
    yield node
    node.ctl("eval", set_env.format("consumer_timeout", 1_800_000))
    node.ctl("eval", set_env.format("channel_tick_interval", 60_000))


@pytest.mark.parametrize("spec", [ORDERED, FREE])
async def test_a_worker_may_take_longer_than_the_consumer_timeout(
    impatient: RabbitNode, spec: QueueSpec
) -> None:
    address = address_at(impatient, hold=timedelta(seconds=1))
    async with opened(address) as broker:
        await broker.publish(spec.name, [envelope(number) for number in range(3)])
        async with broker.consume(spec.name, prefetch=6) as leases:
            held = [await taken(leases), await taken(leases)]
            await asyncio.sleep(1.5)
            await broker.publish(spec.name, [envelope(number) for number in range(3, 6)])
            await asyncio.sleep(3.5)
            for lease in held:
                await lease.ack()  # no LeaseLost: it is the same lease still
            later = [await taken(leases) for _ in range(4)]
            assert [lease.envelope.delivery for lease in later] == [2, 3, 4, 5]
            for lease in later:
                await lease.ack()
        assert (await broker.stats(spec.name)).ready == 0


async def test_a_lane_that_waits_for_a_retry_outlives_the_consumer_timeout(
    impatient: RabbitNode,
) -> None:
    address = address_at(impatient, hold=timedelta(seconds=1))
    async with opened(address) as broker:
        await broker.publish(ORDERED.name, [envelope(number) for number in range(3)])
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            began = time.monotonic()
            await (await taken(leases)).retry(timedelta(seconds=4))
            async with asyncio.timeout(6):
                first = await anext(leases)
            assert time.monotonic() - began >= 4
            assert (first.envelope.delivery, first.envelope.attempt) == (0, 2)
            await first.ack()
        assert await received(broker, 2) == [1, 2]


async def test_without_taking_it_anew_the_broker_takes_a_lease_back(impatient: RabbitNode) -> None:
    async with opened(address_at(impatient)) as broker:
        await broker.publish(ORDERED.name, [envelope(1)])
        async with broker.consume(ORDERED.name, prefetch=1) as leases:
            lease = await taken(leases)
            await asyncio.sleep(4)
            with pytest.raises(LeaseLost):
                await lease.ack()


async def test_order_survives_a_process_that_is_gone_while_leases_are_taken_anew(
    node: RabbitNode,
) -> None:
    address = address_at(node, hold=timedelta(seconds=0.4))
    async with opened(address) as broker:
        await broker.publish(ORDERED.name, [envelope(number) for number in range(40)])
        async with broker.consume(ORDERED.name, prefetch=5) as leases:
            await taken(leases)
            await asyncio.sleep(1.3)
        assert await received(broker, 40) == list(range(40))


async def test_a_long_retry_waits_in_the_broker(node: RabbitNode) -> None:
    async with opened(address_at(node)) as broker:
        await broker.publish(FREE.name, [envelope(1)])
        async with broker.consume(FREE.name, prefetch=1) as leases:
            began = time.monotonic()
            await (await taken(leases)).retry(timedelta(seconds=3.3))
            await until(lambda: _delayed(broker))
        # Nobody consumes now: only the broker can bring it back.
        await asyncio.sleep(2.2)
        async with broker.consume(FREE.name, prefetch=1) as leases, asyncio.timeout(5):
            lease = await anext(leases)
            assert 3.3 <= time.monotonic() - began < 4.5
            assert lease.envelope.attempt == 2
            await lease.ack()


async def _delayed(broker: RabbitBroker) -> bool:
    return (await broker.stats(FREE.name)).delayed == 1


async def test_a_deleted_delay_exchange_is_declared_again(node: RabbitNode) -> None:
    address = address_at(node)
    async with opened(address) as broker:
        due = datetime.now(UTC) + timedelta(seconds=1.2)
        await broker.publish(FREE.name, [envelope(1, not_before=due)])
        name = f'rabbit_misc:r(<<"/">>, exchange, <<"{address.prefix}.delay.1">>)'
        await ctl(node, "eval", f'rabbit_exchange:delete({name}, false, <<"test">>).')

        async def published() -> bool:
            later = datetime.now(UTC) + timedelta(seconds=1.2)
            try:
                await broker.publish(FREE.name, [envelope(2, not_before=later)])
            except BrokerUnavailable:
                return False
            return True

        await until(published)
        assert set(await received(broker, 2, FREE)) == {1, 2}


async def test_what_is_published_for_later_comes_later(node: RabbitNode) -> None:
    async with opened(address_at(node)) as broker:
        due = datetime.now(UTC) + timedelta(seconds=1.4)
        await broker.publish(FREE.name, [envelope(1, not_before=due), envelope(2)])
        async with broker.consume(FREE.name, prefetch=2) as leases:
            assert (await taken(leases)).envelope.delivery == 2
            assert (await taken(leases)).envelope.delivery == 1
            assert datetime.now(UTC) >= due


# --- what goes wrong in the broker ----------------------------------------------------------------


async def test_a_deleted_queue_is_declared_again_and_consumed(node: RabbitNode) -> None:
    address = address_at(node)
    async with opened(address) as broker, broker.consume(ORDERED.name, prefetch=1) as leases:
        await broker.publish(ORDERED.name, [envelope(1)])
        await (await taken(leases)).ack()
        await ctl(node, "delete_queue", lane_plan(address.prefix, ORDERED).lane.name)

        async def published() -> bool:
            try:
                await broker.publish(ORDERED.name, [envelope(2)])
            except BrokerUnavailable:
                return False
            return True

        await until(published)
        async with asyncio.timeout(10):
            lease = await anext(leases)
        assert lease.envelope.delivery == 2
        await lease.ack()


async def test_a_consumer_that_was_lost_without_a_word_is_found(
    node: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "WATCH_SECONDS", 0.3)
    async with (
        opened(address_at(node)) as broker,
        broker.consume(ORDERED.name, prefetch=1) as leases,
    ):
        await broker.publish(ORDERED.name, [envelope(1)])
        await (await taken(leases)).ack()
        channel = broker._queues[ORDERED.name].feed._channel
        assert channel is not None
        channel.raw.basic_cancel(channel.raw.consumer_tags[0])  # nobody asked for that
        await broker.publish(ORDERED.name, [envelope(2), envelope(3)])
        async with asyncio.timeout(10):
            assert (await anext(leases)).envelope.delivery == 2


async def test_a_queue_with_other_arguments_is_told(node: RabbitNode) -> None:
    address = address_at(node)
    name = lane_plan(address.prefix, ORDERED).lane.name
    await ctl(
        node,
        "eval",
        f'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"{name}">>), true, false, [],'
        ' none, <<"test">>).',
    )
    broker = RabbitBroker(address)
    await broker.open()
    with pytest.raises(BrokerUnavailable, match="BROKER-QUEUE-DIFFERS") as caught:
        await broker.declare([ORDERED])
    assert name in str(caught.value.info.help)
    await ctl(node, "delete_queue", name)
    await broker.declare([ORDERED])
    await broker.close(GRACE)


async def test_an_alarm_stops_publishing_and_nothing_else(
    node: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "CONFIRM_SECONDS", 2.0)
    async with opened(address_at(node)) as broker:
        await broker.publish(ORDERED.name, [envelope(1)])
        await ctl(node, "set_vm_memory_high_watermark", "0")
        try:
            with pytest.raises(BrokerUnavailable):
                await until_refused(broker)
            assert broker.trouble is not None
            assert broker.trouble.code == "BROKER-BLOCKED"
            async with broker.consume(ORDERED.name, prefetch=1) as leases:
                await (await taken(leases)).ack()
        finally:
            await ctl(node, "set_vm_memory_high_watermark", "0.4")
        async with asyncio.timeout(10):
            await broker.publish(ORDERED.name, [envelope(100)])
        assert broker.trouble is None


async def until_refused(broker: RabbitBroker) -> None:
    for number in range(2, 50):  # the broker still reads the first of them
        await broker.publish(ORDERED.name, [envelope(number)])


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_nothing_confirmed_is_lost_when_the_node_dies(node: RabbitNode, how: str) -> None:
    async with opened(address_at(node)) as broker:
        confirmed: list[int] = []
        numbers = itertools.count()
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                batch = [envelope(next(numbers)) for _ in range(5)]
                try:
                    await broker.publish(ORDERED.name, batch)
                except BrokerUnavailable:
                    await asyncio.sleep(0.02)
                else:
                    confirmed.extend(int(one.delivery) for one in batch)
                    await asyncio.sleep(0.02)  # nobody consumes: the queue would soon be full

        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(load())
            await asyncio.sleep(0.3)
            await asyncio.to_thread(getattr(node, how))
            await asyncio.sleep(0.2)
            before = len(confirmed)
            await asyncio.to_thread(node.start)
            async with asyncio.timeout(45):
                while len(confirmed) < before + 20:
                    await asyncio.sleep(0.05)
            stop.set()
        assert before > 0
        seen: set[int] = set()
        async with broker.consume(ORDERED.name, prefetch=20) as leases:
            async with asyncio.timeout(45):
                while not seen >= set(confirmed):
                    lease = await anext(leases)
                    seen.add(int(lease.envelope.delivery))
                    await lease.ack()


async def test_a_queue_that_lost_its_leader_for_good_is_mended(node: RabbitNode) -> None:
    """RabbitMQ forgets the data of the queue that was declared last when it is killed then."""
    async with opened(address_at(node), FREE, ORDERED) as broker:
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)
        async with broker.consume(ORDERED.name, prefetch=1) as leases, asyncio.timeout(40):
            while True:
                try:
                    await broker.publish(ORDERED.name, [envelope(1)])
                except BrokerUnavailable:
                    continue
                break
            lease = await anext(leases)
            assert lease.envelope.delivery == 1
            await lease.ack()


async def test_cancelled_publishes_and_consumers_leave_a_working_broker(node: RabbitNode) -> None:
    async with opened(address_at(node)) as broker:
        for number in range(20):
            publishing = asyncio.create_task(broker.publish(FREE.name, [envelope(number)]))
            await asyncio.sleep(number / 5000)
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

            async def consume() -> None:
                async with broker.consume(FREE.name, prefetch=3) as leases:
                    async for _ in leases:
                        pass

            consuming = asyncio.create_task(consume())
            await asyncio.sleep(number / 2000)
            consuming.cancel()
            await asyncio.gather(consuming, return_exceptions=True)
        await broker.publish(FREE.name, [envelope(100)])
        async with broker.consume(FREE.name, prefetch=1) as leases:
            while True:
                lease = await taken(leases)
                await lease.ack()
                if lease.envelope.delivery == 100:
                    break


async def test_a_foreign_message_is_set_aside(node: RabbitNode) -> None:
    address = address_at(node)
    async with opened(address) as broker:
        name = lane_plan(address.prefix, ORDERED).lane.name
        await broker._publisher.publish("", name, [b"not ours", b"[]", b'{"delivery": 1}'])
        await broker.publish(ORDERED.name, [envelope(7)])
        assert await received(broker, 1) == [7]
        await until(lambda: _parked(broker, 3))


async def _parked(broker: RabbitBroker, count: int) -> bool:
    return (await broker.stats(ORDERED.name)).parked == count


async def test_nothing_in_the_broker_says_what_it_is_about(node: RabbitNode) -> None:
    address = address_at(node)
    async with opened(address, QueueSpec("oncology-chen-wei/3")) as broker:
        await broker.publish("oncology-chen-wei/3", [envelope(1)])
        listed = await asyncio.to_thread(node.ctl, "list_queues", "name", "arguments")
        assert address.prefix in listed
        assert "oncology" not in listed
        assert "chen" not in listed


# --- several hosts, TLS ---------------------------------------------------------------------------


async def test_the_next_host_is_tried(node: RabbitNode, unused_tcp_port: int) -> None:
    address = address_at(node)
    for _ in range(4):  # the first host is chosen by chance
        hosts = (("127.0.0.1", unused_tcp_port), *address.hosts)
        async with asyncio.timeout(10), opened(replace(address, hosts=hosts)) as broker:
            await broker.publish(ORDERED.name, [envelope(1)])


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[Sequence[RabbitNode]]:
    with rabbit_nodes(3) as nodes:
        yield nodes


async def test_one_node_of_three_may_die(cluster: Sequence[RabbitNode]) -> None:
    address = address_at(*cluster)
    async with opened(address) as broker:
        for round_, victim in enumerate(cluster[:2]):
            first = 1000 * round_
            await publish_patiently(broker, range(first, first + 100))
            await asyncio.to_thread(victim.kill)
            await publish_patiently(broker, range(first + 100, first + 200))
            seen = await received(broker, 200)
            assert sorted(set(seen)) == list(range(first, first + 200))
            await asyncio.to_thread(victim.start)
            await ctl(victim, "await_online_nodes", "3")


async def publish_patiently(broker: RabbitBroker, numbers: range) -> None:
    async with asyncio.timeout(40):
        for number in numbers:
            while True:
                try:
                    await broker.publish(ORDERED.name, [envelope(number)])
                    break
                except BrokerUnavailable:
                    await asyncio.sleep(0.1)


async def test_tls_with_a_client_certificate(authority: Authority) -> None:
    server = authority.issue("rabbit")
    authority.issue("engine")
    tls = NodeTls(authority.ca, Path(server["certificate"]), Path(server["key"]))
    with rabbit_nodes(1, tls=tls) as (node,):
        url = node.url.replace("amqp:", "amqps:").replace(f":{node.port}/", f":{node.tls_port}/")
        url += "?ca=authority.pem&prefix=tls"
        broker = open_broker(f"{url}&certificate=engine.pem&key=engine.key", authority.folder)
        await broker.open()
        await broker.declare([ORDERED])
        await broker.publish(ORDERED.name, [envelope(1)])
        await broker.close(GRACE)

        nameless = open_broker(url, authority.folder)
        await nameless.open()
        with pytest.raises(BrokerUnavailable):
            await nameless.declare([ORDERED])
        await nameless.close(GRACE)


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TLS-FILE"):
        open_broker("amqps://localhost/?ca=nowhere.pem", tmp_path)
