"""The suites run on the loop the engine runs on; waivers become strict expected failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop

from engine.testing.destinations import DestinationConformance
from engine.testing.sources import SourceConformance
from tests.conformance.waivers import WAIVERS


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A waived promise must really be broken: one that is kept after all fails as XPASS."""
    for item in items:
        suite = getattr(item, "cls", None)
        if not isinstance(suite, type):
            continue
        if not issubclass(suite, SourceConformance | DestinationConformance):
            continue
        row = getattr(getattr(item, "function", None), "promise", None)
        harness = getattr(suite, "harness", None)
        spec = getattr(harness, "spec", None)
        reason = WAIVERS.get((spec.name, row.id)) if spec is not None and row is not None else None
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
