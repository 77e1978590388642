"""What a channel of the carebus connector may say, on either side of the link."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from connectors.webclient.settings import HttpAddress
from engine.units import Duration, Size

_MODEL = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
_MIB = 1024 * 1024
PeerName = Annotated[str, StringConstraints(to_lower=True, pattern=r"^[^\s*]+$")]


class LinkSourceSettings(BaseModel):
    """Inbound: a port that other engines send to."""

    model_config = _MODEL

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; 0.0.0.0 (or ::) for every network card.",
    )
    port: int = Field(
        ge=1, le=65535, description="Port; one channel each, none is shared.", examples=[8610]
    )
    tls: str | dict[str, Any] | None = Field(
        None,
        repr=False,
        description="TLS profile (name or inline) with `certificate`, `ca` and "
        "`require_client_certificate: true`. Only a loopback address may go without.",
    )
    peers: tuple[PeerName, ...] = Field(
        (),
        description="Who may send: names in the client certificates (DNS name or common name). "
        "Needed with `tls`.",
        examples=[["hospital-a.example"]],
    )
    arrival_timeout: Duration = Field(
        timedelta(seconds=60),
        description="A request that has not arrived whole after this ends its connection. A large "
        "message comes in parts, each of which is one request.",
    )
    spool: Size = Field(
        2048 * _MIB,
        ge=_MIB,
        description="Most disk that large messages may take which have not arrived whole.",
    )
    spool_keep: Duration = Field(
        timedelta(days=7),
        description="A transfer that was broken off and not taken up again is forgotten after "
        "this; it then begins anew.",
    )

    @model_validator(mode="after")
    def _is_closed(self) -> LinkSourceSettings:
        if self.tls is None:
            if not is_loopback(self.host):
                raise ValueError("an address that other machines reach needs tls")
            if self.peers:
                raise ValueError("peers are told by their certificates: without tls there are none")
        elif not self.peers:
            raise ValueError("say under peers whose certificates may send")
        # A channel's own YAML gives words; the profile's model reads them.
        if isinstance(self.tls, dict) and (
            str(self.tls.get("require_client_certificate")).lower() != "true"
        ):
            raise ValueError("tls of a link needs require_client_certificate: true")
        if self.arrival_timeout <= timedelta(0):
            raise ValueError("arrival_timeout is more than nothing")
        return self


class LinkDestinationSettings(BaseModel):
    """Outbound: one channel of one other engine."""

    model_config = _MODEL

    url: HttpAddress = Field(
        description="Where the other engine listens: https, host and port, without a path. "
        "http only for an engine on this machine.",
        examples=["https://region.example:8610"],
    )
    channel: str = Field(
        pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$",
        description="The inbound channel over there.",
        examples=["hospital-a"],
    )
    tls: str | dict[str, Any] | None = Field(
        None,
        repr=False,
        description="TLS profile (name or inline) with `ca`, `certificate` and `key`. Only a "
        "loopback address may go without.",
    )
    timeout: Duration = Field(
        timedelta(seconds=30),
        description="From the first byte of a request (a whole message, or one part of a large "
        "one) to the last byte of its answer; after that it is sent again.",
    )
    connect_timeout: Duration = Field(
        timedelta(seconds=10), description="For name look-up, connecting and the TLS handshake."
    )
    max_in_flight: int = Field(
        32, ge=1, le=64, description="Messages (and connections) to the other engine at once."
    )
    keep_alive: Duration = Field(
        timedelta(seconds=60),
        description="An unused connection is closed after this. Keep it below `limits: {idle: …}` "
        "of the channel over there.",
    )
    compress: Literal["gzip", "none"] = Field(
        "gzip",
        description="gzip: messages of 2 KiB and more are compressed where that saves a tenth at "
        "least. none: for a fast network.",
    )
    part: Size = Field(
        _MIB,
        ge=64 * 1024,
        le=64 * _MIB,
        description="A message that is larger on the wire is sent in parts of this size. A part "
        "must arrive within `timeout`.",
    )

    @model_validator(mode="after")
    def _is_closed(self) -> LinkDestinationSettings:
        parts = urlsplit(self.url)
        if parts.path.strip("/") or parts.query:
            raise ValueError("the address of an engine has no path and no query")
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("an engine on another machine is reached over https only")
        if parts.scheme == "https" and self.tls is None:
            raise ValueError("https between engines needs tls with certificate and key")
        if parts.scheme != "https" and self.tls is not None:
            raise ValueError("tls needs an address that starts with https://")
        if isinstance(self.tls, dict) and not self.tls.get("certificate"):
            raise ValueError("tls of a link needs the certificate that is shown to the other side")
        if min(self.timeout, self.connect_timeout) <= timedelta(0):
            raise ValueError("timeout and connect_timeout are more than nothing")
        return self


def is_loopback(host: str) -> bool:
    """Whether nobody on another machine is reached, or reaches us, at this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
