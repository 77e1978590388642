"""Message ids are UUIDv7, and increase whatever the clock does."""

import uuid
from itertools import pairwise

from engine.flow.ids import MessageIds


def test_is_a_version_7_uuid_with_its_time() -> None:
    text = MessageIds(lambda: 0x0123456789AB).next()
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == 0x0123456789AB


def test_increases_while_the_clock_stands_still_or_steps_back() -> None:
    clock = iter([5] * 5000 + [3] * 5000 + [9] * 10)
    ids = MessageIds(lambda: next(clock))
    made = [ids.next() for _ in range(10_010)]
    assert all(before < later for before, later in pairwise(made))
    assert len({text[-12:] for text in made}) == len(made)  # the random part differs too
