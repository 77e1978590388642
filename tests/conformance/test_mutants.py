"""The suites bite: each wrong connector breaks exactly the promises it is made to break."""

from __future__ import annotations

import pytest

from engine.testing.destinations import DestinationConformance
from engine.testing.promises import broken_promises, promises
from engine.testing.sources import MIB, SourceConformance
from tests.conformance.mutants.listener import LISTENERS, Listener, listener_harness
from tests.conformance.mutants.sender import SENDERS, Sender, sender_harness


class QuickSource(SourceConformance):
    """The same checks with smaller numbers: what a mutant does wrong shows soon."""

    __test__ = False
    harness = listener_harness(Listener)
    largest = MIB
    connects = 60
    oversize = 8 * MIB
    load = 120
    quiet = 0.06
    patience = 0.6


class QuickDestination(DestinationConformance):
    __test__ = False
    harness = sender_harness(Sender)
    largest = MIB // 4
    load = 150
    quiet = 0.06
    patience = 0.6


@pytest.mark.parametrize("mutant", LISTENERS, ids=lambda mutant: mutant.__name__)
async def test_listener(mutant: type[Listener]) -> None:
    broken = await broken_promises(QuickSource, listener_harness(mutant))
    assert set(broken) == LISTENERS[mutant], broken


def test_every_source_promise_bites() -> None:
    assert frozenset().union(*LISTENERS.values()) == promises(SourceConformance).keys()


@pytest.mark.parametrize("mutant", SENDERS, ids=lambda mutant: mutant.__name__)
async def test_sender(mutant: type[Sender]) -> None:
    broken = await broken_promises(QuickDestination, sender_harness(mutant))
    assert set(broken) == SENDERS[mutant], broken


def test_every_destination_promise_bites() -> None:
    assert frozenset().union(*SENDERS.values()) == promises(DestinationConformance).keys()
