"""TLS settings become sound contexts, or an error with a code."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.contract import ConfigError
from engine.security.tls import TlsSettings, client_context, server_context
from tests.conformance.certificates import PASSWORD, certificates

Make = Callable[[TlsSettings, Path], ssl.SSLContext]


def settings(**given: object) -> TlsSettings:
    return TlsSettings.model_validate(given)


def identity(**more: object) -> TlsSettings:
    made = certificates()
    return settings(certificate=made.server.certificate, key=made.server.key, **more)


def test_server_speaks_only_sound_tls() -> None:
    context = server_context(identity())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE
    names = [cipher["name"] for cipher in context.get_ciphers()]
    assert names
    assert all("GCM" in name or "CHACHA20" in name for name in names), names
    assert all(name.startswith(("TLS_", "ECDHE-", "DHE-")) for name in names), names


def test_minimum_version_can_be_raised() -> None:
    assert server_context(identity(minimum_version="1.3")).minimum_version is ssl.TLSVersion.TLSv1_3
    with pytest.raises(ValidationError):
        settings(minimum_version="1.1")


def test_client_always_verifies() -> None:
    context = client_context(settings(ca=certificates().ca))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    unnamed = client_context(settings(ca=certificates().ca, verify_host=False))
    assert unnamed.verify_mode is ssl.CERT_REQUIRED
    assert not unnamed.check_hostname


def test_client_without_ca_trusts_the_system() -> None:
    assert client_context(settings()).verify_mode is ssl.CERT_REQUIRED


def test_server_may_ask_for_or_demand_certificates() -> None:
    asks = server_context(identity(ca=certificates().ca))
    demands = server_context(identity(ca=certificates().ca, require_client_certificate=True))
    assert asks.verify_mode is ssl.CERT_OPTIONAL
    assert demands.verify_mode is ssl.CERT_REQUIRED


def test_paths_are_taken_from_the_project() -> None:
    folder = certificates().folder
    assert server_context(settings(certificate="server.pem", key="server.key"), folder)


def test_encrypted_key() -> None:
    made = certificates()
    given = {"certificate": made.server.certificate, "key": made.encrypted_key}
    assert server_context(settings(**given, key_password=PASSWORD))
    for secret in ({}, {"key_password": "wrong"}):
        with pytest.raises(ConfigError) as caught:
            server_context(settings(**given, **secret))
        assert caught.value.info.code == "TLS-PASSWORD"
        assert "wrong" not in repr(settings(**given, **secret).key_password)


@pytest.mark.parametrize("make", [server_context, client_context])
def test_unfit_files(make: Make, tmp_path: Path) -> None:
    made = certificates()
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    torn = tmp_path / "torn.pem"
    torn.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    server = {"certificate": made.server.certificate, "key": made.server.key}
    cases: list[tuple[str, dict[str, object]]] = [
        ("TLS-FILE", {**server, "certificate": tmp_path / "missing.pem"}),
        ("TLS-FILE", {**server, "key": tmp_path / "missing.key"}),
        ("TLS-FILE", {**server, "ca": tmp_path / "missing-ca.pem"}),
        ("TLS-FILE", {**server, "ca": tmp_path}),
        ("TLS-CERTIFICATE", {**server, "certificate": empty}),
        ("TLS-CERTIFICATE", {**server, "certificate": torn}),
        ("TLS-CERTIFICATE", {**server, "certificate": made.server.key}),
        ("TLS-CERTIFICATE", {**server, "ca": empty}),
        ("TLS-CERTIFICATE", {**server, "ca": torn}),
        ("TLS-KEY", {**server, "key": made.client.key}),
        ("TLS-KEY", {**server, "key": made.client.certificate}),
        ("TLS-KEY", {"certificate": made.server.certificate}),
    ]
    for code, given in cases:
        with pytest.raises(ConfigError) as caught:
            make(settings(**given), Path())
        info = caught.value.info
        assert info.code == code, (given, info)
        assert info.help


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigError, match="TLS-SETTINGS: a listener needs"):
        server_context(settings())
    with pytest.raises(ConfigError, match="TLS-SETTINGS"):
        server_context(identity(require_client_certificate=True))
    with pytest.raises(ConfigError, match="TLS-SETTINGS"):
        client_context(identity(require_client_certificate=True))
    with pytest.raises(ConfigError, match="TLS-SETTINGS"):
        client_context(settings(key=certificates().server.key))
    with pytest.raises(ValidationError):
        settings(verify="no")
