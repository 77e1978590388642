"""Small projects for the tests of configuration, and two connectors to use in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from engine.config.load import load
from engine.config.model import Configuration, Loaded
from engine.contract import Capabilities, ConnectorSpec, Role
from engine.units import Duration, Size


class Auth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    user: str = Field(description="User.")
    password: SecretStr = Field(description="Password.")


class ListenerSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field("127.0.0.1", description="Address.")
    port: int = Field(ge=0, le=65535, description="Port.")
    keep_alive: bool = Field(True, description="Keep connections.")
    tls: str | dict[str, Any] | None = Field(None, description="TLS.")


class SenderSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field(description="Address.")
    port: int = Field(ge=1, le=65535, description="Port.")
    timeout: Duration = Field(timedelta(seconds=30), description="Time.")
    chunk: Size = Field(1024, description="Size.")
    ratio: float = Field(0.5, ge=0, le=1, description="Ratio.")
    statuses: tuple[int, ...] = Field((), description="Statuses.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers.")
    auth: Auth | None = Field(None, description="Auth.")
    token: SecretStr | None = Field(None, description="Token.")
    tls: str | dict[str, Any] | None = Field(None, description="TLS.")


class WebSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str = Field(description="Address.")


WIRE = ConnectorSpec(
    name="wire",
    summary="Both ways.",
    source=Role(ListenerSettings, "nowhere:Source"),
    destination=Role(SenderSettings, "nowhere:Destination", Capabilities(max_in_flight=300)),
)
WEB = ConnectorSpec(
    name="web",
    summary="Sends; its peers ignore second copies.",
    destination=Role(WebSettings, "nowhere:Web", Capabilities(deduplicates=True)),
)


class _FutureSpec(ConnectorSpec):
    api = 2


LINK = ConnectorSpec(
    name="link",
    summary="Listens to other engines.",
    source=Role(ListenerSettings, "nowhere:Link", Capabilities(deduplicates=True)),
)
FUTURE = _FutureSpec("wire", "Made for a contract that this engine does not know.")
CONNECTORS: Mapping[str, ConnectorSpec] = {"wire": WIRE, "web": WEB, "link": LINK}
ENVIRON: Mapping[str, str] = {"LIS_PASSWORD": "s3cr3t", "LIS_PORT": "2600", "FLAG": "false"}

INBOUND = """\
system: HIS
direction: inbound
connector: wire
settings: {port: 2575}
format: hl7v2
"""
OUTBOUND = """\
system: EMR
direction: outbound
connector: wire
settings: {host: 127.0.0.1, port: 2600}
format: json
"""
MAPPING = """\
mapping: to-json
from: {format: hl7v2, message: ADT_A01}
to: {format: json}
out:
  patient: = PID-3[1].1
"""
ROUTES = """\
routes:
  - name: admissions
    from: his
    when: = MSH-9.1 == 'ADT'
    to:
      - {channel: emr, mapping: to-json}
"""
GOOD: Mapping[str, str] = {
    "routes.yaml": ROUTES,
    "channels/his.yaml": INBOUND,
    "channels/emr.yaml": OUTBOUND,
    "mappings/to-json.yaml": MAPPING,
}


def write(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """The good project with these files instead; None leaves one out."""
    for name, text in {**GOOD, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def load_project(root: Path, files: Mapping[str, str | bytes | None] | None = None) -> Loaded:
    return load(write(root, files or {}), connectors=CONNECTORS, environ=ENVIRON)


def configuration(
    root: Path, files: Mapping[str, str | bytes | None] | None = None
) -> Configuration:
    loaded = load_project(root, files)
    assert [str(found) for found in loaded.diagnostics] == []
    assert loaded.configuration is not None
    return loaded.configuration
