"""The message cache stays within its bytes."""

from datetime import UTC, datetime

from engine.contract import ChannelName, Message, MessageId, Payload
from engine.flow.cache import MessageCache


class Parsed:
    format = "raw"


def message(number: int, size: int) -> Message:
    return Message(
        MessageId(f"m{number}"), ChannelName("in"), Payload(b"x" * size), datetime.now(UTC)
    )


def test_the_oldest_goes_first_and_bytes_are_bounded() -> None:
    cache = MessageCache(limit=100_000)
    for number in range(100):
        cache.add(message(number, 1000), Parsed(), 1)
    kept = [number for number in range(100) if cache.get(MessageId(f"m{number}")) is not None]
    assert kept == list(range(100 - len(kept), 100))
    assert 10 <= len(kept) <= 12  # 4 × 1,000 + 4,096 each


def test_a_message_that_would_empty_it_is_not_kept() -> None:
    cache = MessageCache(limit=100_000)
    cache.add(message(1, 10), Parsed(), 1)
    cache.add(message(2, 50_000), Parsed(), 1)
    assert cache.get(MessageId("m1")) is not None
    assert cache.get(MessageId("m2")) is None


def test_is_forgotten_after_its_last_delivery() -> None:
    cache = MessageCache(limit=100_000)
    cache.add(message(1, 10), Parsed(), 2)
    cache.used(MessageId("m1"))
    assert cache.get(MessageId("m1")) is not None
    cache.used(MessageId("m1"))
    cache.used(MessageId("m1"))
    assert cache.get(MessageId("m1")) is None
