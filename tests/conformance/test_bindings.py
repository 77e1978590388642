"""Every role of every installed connector is bound to its suite, or excused with a reason."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from engine.contract import NAME_PATTERN, ConnectorSpec
from engine.testing.destinations import DestinationConformance
from engine.testing.harness import unbound
from engine.testing.promises import promises
from engine.testing.sources import SourceConformance
from tests.conformance.waivers import WAIVERS

SUITES: Mapping[str, type] = {"source": SourceConformance, "destination": DestinationConformance}


def connectors() -> Mapping[str, ConnectorSpec]:
    """Every connector of the registry; one that cannot be imported fails the caller."""
    return {point.name: point.load() for point in entry_points(group="carebus.connectors")}


def bindings(role: str) -> Iterator[type]:
    """The classes of tests/conformance that bind the suite of this role."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.conformance.{path.stem}")
        for value in vars(module).values():
            here = getattr(value, "__module__", "") == module.__name__
            if here and isinstance(value, type) and issubclass(value, SUITES[role]):
                assert value.harness is not unbound, f"{value.__name__} names no harness"
                yield value


NAMES = sorted(point.name for point in entry_points(group="carebus.connectors"))


@pytest.mark.parametrize("role", SUITES)
@pytest.mark.parametrize("name", NAMES)
def test_role_is_bound(name: str, role: str) -> None:
    if getattr(connectors()[name], role) is None:
        assert (name, role) not in WAIVERS
        return
    bound = any(binding.harness.spec.name == name for binding in bindings(role))
    reason = WAIVERS.get((name, role))
    if reason is None:
        assert bound, f"no conformance binding for the {role} of {name}: see engine/testing"
    else:
        assert not bound, f"the waiver ({name}, {role}) is not needed any more"


@pytest.mark.parametrize("role", SUITES)
def test_bindings_change_no_promise(role: str) -> None:
    suite = SUITES[role]
    for binding in bindings(role):
        for id, (_, method) in promises(suite).items():
            same = getattr(binding, method) is getattr(suite, method)
            assert same, f"{binding.__name__} replaces the check of {id}: use a waiver"
        for trait, reason in binding.harness.lacks.items():
            assert len(reason.split()) >= 4, f"{binding.__name__} lacks {trait}: say why"


@pytest.mark.parametrize("role", SUITES)
def test_list_of_promises_is_whole(role: str) -> None:
    rows = promises(SUITES[role])
    letter = role[0].upper()
    assert list(rows) == [f"{letter}{number}" for number in range(1, 15)]
    for id, (promise, method) in rows.items():
        number = int(id[1:])
        assert method.startswith(f"test_{letter.lower()}{number:02}_"), method
        assert re.match(r"[a-zR]", promise.sentence), promise


def test_waivers_are_about_something() -> None:
    known = connectors()
    for (name, what), reason in WAIVERS.items():
        assert name in known, f"stale waiver: there is no connector {name}"
        if what in SUITES:
            assert getattr(known[name], what) is not None, f"stale waiver: {name} has no {what}"
        else:
            ids = [id for suite in SUITES.values() for id in promises(suite)]
            assert what in ids, f"stale waiver: there is no promise {what}"
        assert len(reason.split()) >= 4, f"waiver ({name}, {what}): say why"


def test_specs_are_complete() -> None:
    for name, spec in connectors().items():
        assert name == spec.name
        assert NAME_PATTERN.match(name), name
        assert spec.summary, name
        assert spec.examples, f"{name} has no example"
        assert spec.errors, f"{name} lists no error codes"
        codes = [row.code for row in spec.errors]
        assert len(codes) == len(set(codes)), f"{name} lists an error code twice"
        for row in spec.errors:
            assert row.meaning, row.code
            assert row.help, row.code
        for role in SUITES:
            declared = getattr(spec, role)
            if declared is None:
                continue
            for field, info in declared.settings.model_fields.items():
                assert info.description, f"{name}: the setting {field} has no description"
