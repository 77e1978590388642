"""The mllp connector keeps its promises."""

from engine.testing.destinations import DestinationConformance
from engine.testing.sources import SourceConformance
from tests.conformance.mllp import MllpDestinationHarness, MllpSourceHarness


class TestMllpSource(SourceConformance):
    harness = MllpSourceHarness


class TestMllpDestination(DestinationConformance):
    harness = MllpDestinationHarness
