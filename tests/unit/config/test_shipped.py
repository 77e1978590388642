"""The project in this repository is the first one a newcomer reads: nothing is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.connectors import find_connectors
from engine.config.load import load
from engine.config.model import Configuration

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def shipped() -> Configuration:
    connectors, _ = find_connectors()
    loaded = load(ROOT, connectors=connectors, environ={})
    assert [str(found) for found in loaded.diagnostics] == []
    assert loaded.configuration is not None
    return loaded.configuration


def test_it_lints_clean(shipped: Configuration) -> None:
    assert shipped.channels.keys() == {"his-adt", "lis-oru", "emr-fhir", "ward-oru"}
    assert [route.name for route in shipped.routes] == ["admissions", "results"]


def test_results_reach_the_ward_byte_for_byte(shipped: Configuration) -> None:
    (results,) = shipped.routes_from("lis-oru")
    assert {target.channel: target.mapping is None for target in results.targets} == {
        "emr-fhir": False,
        "ward-oru": True,
    }
