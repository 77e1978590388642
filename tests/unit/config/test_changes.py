"""A reload restarts what changed, and nothing else."""

from __future__ import annotations

from pathlib import Path

from engine.config.changes import ConfigurationChange, diff
from engine.config.load import load
from tests.unit.config.projects import (
    CONNECTORS,
    INBOUND,
    MAPPING,
    OUTBOUND,
    ROUTES,
    configuration,
    write,
)

TLS = "profiles: {a: {ca: one.pem}, b: {ca: two.pem}}\n"


def test_nothing(tmp_path: Path) -> None:
    change = diff(configuration(tmp_path / "a"), configuration(tmp_path / "b"))
    assert change == ConfigurationChange((), (), (), ())
    assert not change


def test_channels(tmp_path: Path) -> None:
    old = configuration(tmp_path / "a")
    new = configuration(
        tmp_path / "b",
        {
            "channels/his.yaml": INBOUND + "unrouted: ignore\n",
            "channels/emr.yaml": None,
            "channels/emr2.yaml": OUTBOUND,
            "routes.yaml": ROUTES.replace("channel: emr", "channel: emr2"),
        },
    )
    assert diff(old, new) == ConfigurationChange(("emr2",), ("his",), ("emr",), ("admissions",))


def test_a_mapping_changes_its_routes_and_no_channel(tmp_path: Path) -> None:
    old = configuration(tmp_path / "a")
    new = configuration(tmp_path / "b", {"mappings/to-json.yaml": MAPPING + "  more: text\n"})
    assert diff(old, new) == ConfigurationChange((), (), (), ("admissions",))
    assert diff(old, new)


def test_a_new_secret_changes_its_channel(tmp_path: Path) -> None:
    text = OUTBOUND.replace("port: 2600", "port: 2600, token: '${env:TOKEN}'")
    root = write(tmp_path, {"channels/emr.yaml": text})
    old, new = (
        load(root, connectors=CONNECTORS, environ={"TOKEN": token}).configuration
        for token in ("one", "two")
    )
    assert old is not None
    assert new is not None
    assert diff(old, new).changed == ("emr",)


def test_a_tls_profile_changes_the_channels_that_name_it(tmp_path: Path) -> None:
    files = {
        "channels/his.yaml": INBOUND.replace("2575", "2575, tls: a"),
        "channels/emr.yaml": OUTBOUND.replace("2600", "2600, tls: b"),
    }
    old = configuration(tmp_path / "a", {**files, "tls.yaml": TLS})
    new = configuration(tmp_path / "b", {**files, "tls.yaml": TLS.replace("two", "three")})
    assert diff(old, new).changed == ("emr",)


def test_a_renewed_certificate_changes_the_channels_that_use_it(tmp_path: Path) -> None:
    files: dict[str, str | bytes | None] = {
        "channels/his.yaml": INBOUND.replace("2575", "2575, tls: a"),
        "channels/emr.yaml": OUTBOUND.replace("2600", "2600, tls: {ca: two.pem}"),
        "tls.yaml": TLS,
        "one.pem": "old",
        "two.pem": "old",
    }
    old = configuration(tmp_path, files)
    assert not diff(old, configuration(tmp_path, files))
    renewed = configuration(tmp_path, {**files, "one.pem": "new"})
    assert diff(old, renewed).changed == ("his",)
    assert diff(renewed, configuration(tmp_path, {**files, "two.pem": "new"})).changed == (
        "emr",
        "his",
    )
    (tmp_path / "one.pem").unlink()
    assert diff(renewed, configuration(tmp_path, {**files, "one.pem": None})).changed == ("his",)
