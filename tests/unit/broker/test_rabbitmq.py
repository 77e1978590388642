"""What of the RabbitMQ broker needs no RabbitMQ: its address, its topology, its envelopes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.broker.rabbitmq import envelopes
from engine.broker.rabbitmq.address import Address, read_address
from engine.broker.rabbitmq.topology import DELAYS, delay_exchange, delay_plan, lane_plan
from engine.contract import ConfigError, DeliveryId, Envelope, MessageId, QueueSpec

SECRET = "p%40ss"


def test_an_address_with_everything() -> None:
    url = (
        f"amqps://engine:{SECRET}@rabbit1,rabbit2:5673,[fd00::1]:5674/site%2Fa"
        "?prefix=bus.north&ca=ca.pem&certificate=c.pem&key=k.pem&verify_host=no&hold=60&heartbeat=5"
    )
    assert read_address(url) == Address(
        hosts=(("rabbit1", 5671), ("rabbit2", 5673), ("fd00::1", 5674)),
        vhost="site/a",
        user="engine",
        password="p@ss",
        tls=True,
        ca="ca.pem",
        certificate="c.pem",
        key="k.pem",
        verify_host=False,
        prefix="bus.north",
        hold=timedelta(seconds=60),
        heartbeat=5,
    )


def test_an_address_with_nothing() -> None:
    assert read_address("amqp://rabbit") == Address(hosts=(("rabbit", 5672),))
    assert read_address("amqp://rabbit/").vhost == "/"


@pytest.mark.parametrize(
    "url",
    [
        "amqp:rabbit",
        "amqp://",
        f"amqp://u:{SECRET}@",
        f"amqp://u:{SECRET}@bad host/",
        f"amqp://u:{SECRET}@h:99999/",
        f"amqp://u:{SECRET}@h,/",
        f"amqp://u:{SECRET}@h/?queue=x",
        f"amqp://u:{SECRET}@h/?ca=ca.pem",
        f"amqp://u:{SECRET}@h/?prefix=Bus",
        f"amqp://u:{SECRET}@h/?prefix={'x' * 61}",
        f"amqp://u:{SECRET}@h/?hold=0",
        f"amqp://u:{SECRET}@h/?heartbeat=soon",
        f"amqps://u:{SECRET}@h/?verify_host=maybe",
    ],
)
def test_a_wrong_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="BROKER-URL") as caught:
        read_address(url)
    assert SECRET not in f"{caught.value} {caught.value.info.help}"


ORDERED = {
    "lane": {
        "name": "carebus.ordered.9cd2dd2c25c184a5.3",
        "arguments": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 100_000,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "carebus.dead.9cd2dd2c25c184a5",
            "x-expires": 1_209_600_000,
            "x-single-active-consumer": True,
        },
    },
    "dead": {
        "name": "carebus.dead.9cd2dd2c25c184a5",
        "arguments": {
            "x-queue-type": "quorum",
            "x-max-length": 1000,
            "x-overflow": "drop-head",
            "x-message-ttl": 2_592_000_000,
        },
    },
}


def test_the_topology_of_an_ordered_lane() -> None:
    """Golden: arguments of a queue cannot be changed once it is declared somewhere."""
    assert asdict(lane_plan("carebus", QueueSpec("lab/3", ordered=True))) == ORDERED


def test_the_topology_of_a_lane_without_order() -> None:
    arguments: dict[str, Any] = {**ORDERED["lane"]["arguments"]}  # type: ignore[dict-item]
    del arguments["x-single-active-consumer"]
    plan = lane_plan("carebus", QueueSpec("lab", ordered=False))
    assert asdict(plan.lane) == {
        "name": "carebus.free.9cd2dd2c25c184a5.0",
        "arguments": arguments,
    }
    assert asdict(plan.dead) == ORDERED["dead"]


def test_capacity_is_no_argument_and_names_say_nothing() -> None:
    small, large = QueueSpec("oncology", capacity=1), QueueSpec("oncology", capacity=9)
    assert lane_plan("a", small) == lane_plan("a", large)
    assert "oncology" not in str(lane_plan("a", small))


def test_the_delay_queues() -> None:
    first, *_, last = delay_plan("carebus")
    assert asdict(first) == {
        "exchange": "carebus.delay.1",
        "queue": {
            "name": "carebus.delay.1",
            "arguments": {
                "x-queue-type": "quorum",
                "x-message-ttl": 1000,
                "x-dead-letter-exchange": "",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        },
        "seconds": 1,
    }
    assert last.seconds == 32_768
    assert len(delay_plan("carebus")) == len(DELAYS) == 16


@pytest.mark.parametrize(
    ("seconds", "exchange"),
    [(0.99, None), (1, "1"), (1.99, "1"), (2, "2"), (100, "64"), (10**9, "32768"), (-5, None)],
)
def test_a_delay_is_never_longer_than_the_wait(seconds: float, exchange: str | None) -> None:
    expected = None if exchange is None else f"x.delay.{exchange}"
    assert delay_exchange("x", seconds) == expected


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"attempt": 7, "possible_duplicate": True, "redelivered": True},
        {"not_before": datetime(2026, 11, 22, 12, 0, 0, 250_000, UTC)},
    ],
)
def test_an_envelope_there_and_back(facts: dict[str, Any]) -> None:
    envelope = Envelope(DeliveryId(2**53 + 1), MessageId("m-1"), "route", "target", **facts)
    assert envelopes.read(envelopes.write(envelope), redelivered=False) == envelope


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"delivery": "x"}', b"\xff"])
def test_what_is_no_envelope_is_none(body: bytes) -> None:
    assert envelopes.read(body, redelivered=False) is None
