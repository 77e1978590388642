"""The carebus connector, bound to the suites: in the clear on loopback, and over mutual TLS."""

from __future__ import annotations

from typing import ClassVar

from engine.testing.destinations import DestinationConformance
from engine.testing.sources import SourceConformance
from tests.conformance.links import (
    LinkDestinationHarness,
    LinkSourceHarness,
    TlsLinkDestinationHarness,
    TlsLinkSourceHarness,
)


class TestLinkSource(SourceConformance):
    harness = LinkSourceHarness


class TestLinkDestination(DestinationConformance):
    harness = LinkDestinationHarness


class TestTlsLinkSource(SourceConformance):
    harness = TlsLinkSourceHarness
    connects: ClassVar[int] = 200  # each shakes hands; the plain binding makes a thousand


class TestTlsLinkDestination(DestinationConformance):
    harness = TlsLinkDestinationHarness
