"""What an editor is told is what the loader accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engine.config.connectors import find_connectors
from engine.config.load import check_channel
from engine.config.schema import KINDS, Kind, schema
from engine.contract import ConnectorSpec
from engine.mapping import mapfile, overlays
from engine.syntax import Diagnostics, Mapping, Node, Scalar, Sequence, Severity, read_yaml
from engine.syntax.typed import BOOLEANS, INTEGER, NUMBER
from tests.unit.config.projects import CONNECTORS, INBOUND, MAPPING, OUTBOUND, ROUTES

ROOT = Path(__file__).parents[3]
INSTALLED, PROBLEMS = find_connectors()


def plain(node: Node) -> Any:
    """What an editor's YAML 1.2 makes of a file."""
    match node:
        case Mapping():
            return {key.text: plain(value) for key, value in node.entries}
        case Sequence():
            return [plain(item) for item in node.items]
        case Scalar(text=text):
            if node.quoted or node.block:
                return text
            if text in BOOLEANS:
                return BOOLEANS[text]
            if INTEGER.match(text):
                return int(text)
            return float(text) if NUMBER.match(text) else text


def problems(kind: Kind, text: str, connectors: Any = CONNECTORS) -> list[str]:
    diagnostics = Diagnostics()
    node = read_yaml(text, "f.yaml", diagnostics)
    assert node is not None
    assert not diagnostics.has_errors
    validator = jsonschema.Draft202012Validator(schema(kind, connectors))
    return [error.message for error in validator.iter_errors(plain(node))]


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas(kind: Kind) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind, INSTALLED))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("channel", INBOUND),
        ("channel", OUTBOUND),
        ("channel", INBOUND + "limits: {message: 16MiB, rate: 500/s}\n"),
        ("channel", INBOUND + "index: {patient: PID-3.1}\n"),
        ("channel", OUTBOUND + "ordering: {key: patient, lanes: 4}\n"),
        ("channel", OUTBOUND + "ordering: none\nconcurrency: 4\n"),
        ("channel", OUTBOUND + "retry: {first: 1s, factor: 2, give_up: never}\n"),
        ("channel", OUTBOUND.replace("2600", "'${env:LIS_PORT}'")),
        ("channel", OUTBOUND.replace("2600", "2600, auth: {user: x, password: '${env:X}'}")),
        ("routes", ROUTES),
        ("mapping", MAPPING),
        ("tls", "profiles: {a: {ca: x, verify_host: false, key_password: '${env:X}'}}\n"),
    ],
)
def test_what_is_right(kind: Kind, text: str) -> None:
    assert problems(kind, text) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("channel", INBOUND + "charsett: x\n"),
        ("channel", INBOUND + "ordering: none\n"),
        ("channel", OUTBOUND + "acknowledge: accepted\n"),
        ("channel", INBOUND.replace("port: 2575", "port: 99999")),
        ("channel", INBOUND.replace("port: 2575", "prot: 2575")),
        ("channel", INBOUND.replace("settings: {port: 2575}\n", "")),
        ("channel", INBOUND.replace("wire", "web")),
        ("channel", INBOUND.replace("hl7v2", "hl7")),
        ("channel", INBOUND.replace("system: HIS\n", "")),
        ("channel", INBOUND + "limits: {message: 16MB}\n"),
        ("channel", OUTBOUND + "ordering: {key: patient, lanes: 0}\n"),
        ("channel", OUTBOUND.replace("2600", "2600, auth: {user: x, password: hunter2}")),
        ("channel", OUTBOUND.replace("2600", "2600, token: hunter2")),
        ("routes", ROUTES.replace("name: admissions", "nmae: admissions")),
        ("routes", ROUTES.replace("admissions", "Admissions")),
        ("mapping", MAPPING + "outt: {}\n"),
        ("tls", "profiles: {a: {cert: x}}\n"),
    ],
)
def test_what_is_wrong(kind: Kind, text: str) -> None:
    assert problems(kind, text)


@pytest.mark.parametrize("path", sorted((ROOT / "channels").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_channels(path: Path) -> None:
    assert problems("channel", path.read_text("utf-8"), INSTALLED) == []


def test_shipped_routes() -> None:
    assert problems("routes", (ROOT / "routes.yaml").read_text("utf-8")) == []


def test_the_schema_of_mappings_has_the_compiler_s_keys() -> None:
    properties = schema("mapping", {})["properties"]
    assert properties.keys() == {*mapfile._KEYS, *overlays._KEYS}
    assert properties["from"]["properties"].keys() == set(mapfile._FROM)
    assert properties["to"]["properties"].keys() == set(mapfile._TO)


def test_shipped_mappings() -> None:
    paths = [path for path in (ROOT / "mappings").rglob("*.yaml") if ".test." not in path.name]
    assert paths
    for path in paths:
        assert problems("mapping", path.read_text("utf-8")) == [], path.name


@pytest.mark.parametrize("spec", INSTALLED.values(), ids=lambda spec: spec.name)
def test_examples_of_connectors(spec: ConnectorSpec) -> None:
    """An example is a whole channel file: it lints, and the schema takes it."""
    assert spec.examples
    for number, example in enumerate(spec.examples):
        assert problems("channel", example, INSTALLED) == []
        found = check_channel(f"example-{number}", example, connectors=INSTALLED, environ={})
        assert [str(one) for one in found if one.severity is Severity.ERROR] == []
        assert problems("channel", example.replace("system:", "sytsem:", 1), INSTALLED)


def test_every_shipped_connector_can_be_used() -> None:
    assert [str(found) for found in PROBLEMS] == []
    assert {"mllp", "http", "fhir", "file"} <= INSTALLED.keys()


def test_every_setting_is_explained() -> None:
    for spec in INSTALLED.values():
        for role in (spec.source, spec.destination):
            for name, field in role.settings.model_fields.items() if role else ():
                assert field.description, f"{spec.name}: {name}"
