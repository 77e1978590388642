"""The specs of the link, HTTP, FHIR and file connectors: light to import, and true."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from connectors.carebus import SPEC as CAREBUS
from connectors.fhir import SPEC as FHIR
from connectors.file import SPEC as FILE
from connectors.http import SPEC as HTTP
from engine.contract import ConnectorSpec

SPECS = [CAREBUS, HTTP, FHIR, FILE]
HEAVY = ["aiohttp", "httptools", "starlette", "uvicorn", "orjson", "ssl", "engine.formats"]


@pytest.mark.parametrize("name", ["carebus", "http", "fhir", "file"])
def test_listing_a_connector_loads_no_protocol_library(name: str) -> None:
    code = f"import sys, connectors.{name}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.strip()
    assert loaded in ("[]", "['ssl']"), loaded


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_examples_are_channels_of_the_connector(spec: ConnectorSpec) -> None:
    for example in spec.examples:
        channel = yaml.safe_load(example)
        role = spec.source if channel["direction"] == "inbound" else spec.destination
        assert channel["connector"] == spec.name
        assert role is not None
        role.settings.model_validate(channel["settings"])


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_codes_carry_the_connectors_name(spec: ConnectorSpec) -> None:
    for row in spec.errors:
        assert row.code.startswith(f"{spec.name.upper()}-")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_schemas_can_be_made(spec: ConnectorSpec) -> None:
    for role in (spec.source, spec.destination):
        if role is not None:
            schema = role.settings.model_json_schema()
            assert schema["additionalProperties"] is False
