"""TLS contexts from a channel's ``tls:`` settings or a profile of ``tls.yaml``.

Nothing here can be set so that a peer's certificate goes unchecked by a client: there is no
"insecure" switch.  TLS 1.2 and 1.3 only, with forward secrecy and authenticated encryption
(RFC 9325).  Every failure is a ConfigError with one of these codes:

=================  ==========================================================================
TLS-SETTINGS       settings that cannot work together, such as a server without a certificate
TLS-FILE           a file is missing or cannot be read
TLS-CERTIFICATE    a file holds no certificate in PEM form
TLS-KEY            the private key does not fit the certificate, or is no key
TLS-PASSWORD       the private key is encrypted and its password is missing or wrong
=================  ==========================================================================
"""

from __future__ import annotations

import ssl
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from engine.contract import ConfigError, ErrorInfo, Stage

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"  # of TLS 1.2; those of 1.3 are all sound
_HELP: Final = {
    "TLS-SETTINGS": "add the setting that is missing, or leave the other one out",
    "TLS-FILE": "check the path (relative to the project) and that the engine may read it",
    "TLS-CERTIFICATE": "the file must hold `-----BEGIN CERTIFICATE-----`; convert DER with openssl",
    "TLS-KEY": "`key:` must be the private key for which `certificate:` was made",
    "TLS-PASSWORD": "give `key_password:` as ${env:…} or ${file:…}",
}


class MinimumVersion(StrEnum):
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class TlsSettings(BaseModel):
    """Both for servers and for clients; paths are taken from the project's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: Path | None = Field(
        None, description="PEM file: our certificate, then its intermediate ones."
    )
    key: Path | None = Field(
        None, description="PEM file with the private key; none: in the file of `certificate`."
    )
    key_password: SecretStr | None = Field(None, description="Password of an encrypted key.")
    ca: Path | None = Field(
        None,
        description="PEM file with the authorities whose certificates are trusted; "
        "none: those of the system (clients only).",
    )
    require_client_certificate: bool = Field(
        False, description="Servers: refuse peers without a certificate signed by `ca`."
    )
    verify_host: bool = Field(
        True,
        description="Clients: the server's certificate must name the host that is called. "
        "Switch off only for an authority of the hospital's own whose certificates name none.",
    )
    minimum_version: MinimumVersion = Field(
        MinimumVersion.TLS_1_2, description="Oldest version of TLS that is spoken."
    )


def server_context(settings: TlsSettings, root: Path = Path()) -> ssl.SSLContext:
    """For listening.  Needs ``certificate``.  Reads the files now; raises ConfigError."""
    if settings.certificate is None:
        raise _error("TLS-SETTINGS", "a listener needs `certificate`")
    if settings.require_client_certificate and settings.ca is None:
        raise _error("TLS-SETTINGS", "`require_client_certificate` needs `ca`")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, settings)
    _load_identity(context, settings.certificate, settings, root)
    if settings.ca is not None:
        _load_authorities(context, root / settings.ca)
        required = settings.require_client_certificate
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def client_context(settings: TlsSettings, root: Path = Path()) -> ssl.SSLContext:
    """For calling.  Shows ``certificate`` where there is one.  Reads the files now; raises
    ConfigError."""
    if settings.require_client_certificate:
        raise _error("TLS-SETTINGS", "`require_client_certificate` is for listeners")
    if settings.key is not None and settings.certificate is None:
        raise _error("TLS-SETTINGS", "`key` needs `certificate`")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context, settings)
    context.check_hostname = settings.verify_host
    if settings.certificate is not None:
        _load_identity(context, settings.certificate, settings, root)
    if settings.ca is not None:
        _load_authorities(context, root / settings.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


def _harden(context: ssl.SSLContext, settings: TlsSettings) -> None:
    newest = settings.minimum_version is MinimumVersion.TLS_1_3
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if newest else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE


def _load_identity(context: ssl.SSLContext, given: Path, settings: TlsSettings, root: Path) -> None:
    certificate = root / given
    key = root / settings.key if settings.key is not None else None
    text = _read(certificate)
    key_text = text if key is None else _read(key)
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise _error("TLS-CERTIFICATE", f"{given} holds no certificate")
    if b"PRIVATE KEY-----" not in key_text:
        raise _error("TLS-KEY", f"{settings.key or given} holds no private key")
    secret = settings.key_password.get_secret_value() if settings.key_password else ""
    # Without a callable OpenSSL would ask on the terminal, and the engine would hang.
    try:
        context.load_cert_chain(certificate, key, password=lambda: secret)
    except ssl.SSLError as cause:
        if b"ENCRYPTED" in key_text and cause.reason != "KEY_VALUES_MISMATCH":
            word = "is wrong" if secret else "is missing"
            raise _error("TLS-PASSWORD", f"the password of the key {word}") from cause
        if cause.reason == "KEY_VALUES_MISMATCH":
            summary = f"the key does not fit {given}"
            raise _error("TLS-KEY", summary) from cause
        summary = f"{given} or its key cannot be read: {cause.reason}"
        raise _error("TLS-CERTIFICATE", summary) from cause


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    text = _read(path)
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise _error("TLS-CERTIFICATE", f"{path} holds no certificate")
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as cause:
        summary = f"{path} cannot be read: {cause.reason}"
        raise _error("TLS-CERTIFICATE", summary) from cause


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as cause:
        raise _error("TLS-FILE", f"{path}: {cause.strerror}") from cause


def _error(code: str, summary: str) -> ConfigError:
    return ConfigError(ErrorInfo(code, summary, Stage.STARTING, help=_HELP[code]))
