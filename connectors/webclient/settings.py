"""The settings that every channel sending over HTTP has: where, as whom, how long, how many.

Imports no HTTP library, so that listing connectors stays cheap.
"""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from engine.units import Duration, Size

_TOKEN = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_LINE_BREAK = re.compile(r"[\r\n\0]")
_VISIBLE = re.compile(r"[!-~]+")
# The client writes these itself: a second one would let a request be read in two ways.
_OWN_HEADERS = {
    "connection",
    "content-length",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


def _header_name(name: str) -> str:
    if _TOKEN.match(name) is None:
        raise ValueError("a header name has letters, digits and hyphens only")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("this header is written by the engine itself")
    return name


def _header_value(value: str) -> str:
    if _LINE_BREAK.search(value):
        raise ValueError("a header value is one line")
    return value


def _secret_value(value: SecretStr) -> SecretStr:
    _header_value(value.get_secret_value())
    return value


def _url(value: str) -> str:
    if _VISIBLE.fullmatch(value) is None:
        raise ValueError("an address is ASCII without spaces: escape other characters with %")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an address starts with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds no user and no password: write them under auth")
    if parts.fragment:
        raise ValueError("an address has no #fragment")
    _ = parts.port  # raises ValueError when it is no port number
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
SecretValue = Annotated[SecretStr, AfterValidator(_secret_value)]
HttpAddress = Annotated[str, AfterValidator(_url)]

_MODEL = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class BasicAuth(BaseModel):
    """RFC 7617, in UTF-8."""

    model_config = _MODEL

    user: str = Field(description="User name; a colon is not possible.", pattern=r"^[^:\r\n]+$")
    password: SecretValue = Field(description="Password.")


class ApiKey(BaseModel):
    """A shared secret in a header of the peer's choice."""

    model_config = _MODEL

    header: HeaderName = Field(description="Header that carries the key.", examples=["X-API-Key"])
    value: SecretValue = Field(description="The key.")


class Auth(BaseModel):
    """Exactly one way to say who is calling."""

    model_config = _MODEL

    basic: BasicAuth | None = Field(None, description="User and password (RFC 7617).")
    bearer: SecretValue | None = Field(None, description="A fixed bearer token (RFC 6750).")
    api_key: ApiKey | None = Field(None, description="A key in a header.")

    @model_validator(mode="after")
    def _one(self) -> Auth:
        if sum(way is not None for way in (self.basic, self.bearer, self.api_key)) != 1:
            raise ValueError("name exactly one of basic, bearer, api_key")
        return self

    def header(self) -> tuple[str, str]:
        """Name and value of the request header; the value is a secret."""
        if self.basic is not None:
            pair = f"{self.basic.user}:{self.basic.password.get_secret_value()}"
            return "Authorization", "Basic " + b64encode(pair.encode()).decode("ascii")
        if self.bearer is not None:
            return "Authorization", "Bearer " + self.bearer.get_secret_value()
        assert self.api_key is not None  # noqa: S101  (the validator saw to it)
        return self.api_key.header, self.api_key.value.get_secret_value()


class ClientSettings(BaseModel):
    """What is common to all channels that send over HTTP."""

    model_config = _MODEL

    url: HttpAddress = Field(
        repr=False,  # some peers want a key in the query
        description="Address of the peer, without user, password or fragment.",
        examples=["https://emr.example/fhir"],
    )
    auth: Auth | None = Field(None, description="How the engine says who it is; omit for none.")
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict, repr=False, description="Fixed headers sent with every request."
    )
    secret_headers: dict[HeaderName, SecretValue] = Field(
        default_factory=dict, description="More headers, whose values are secrets."
    )
    tls: str | dict[str, Any] | None = Field(
        None,
        repr=False,
        description="TLS profile (name or inline): certificate authority, client certificate.",
    )
    timeout: Duration = Field(
        timedelta(seconds=30),
        description="From the first byte sent to the last byte of the answer; after that the "
        "outcome is unknown.",
    )
    connect_timeout: Duration = Field(
        timedelta(seconds=5), description="For name look-up, connecting and the TLS handshake."
    )
    max_in_flight: int = Field(
        16, ge=1, le=64, description="Requests (and connections) to this peer at once."
    )
    keep_alive: Duration = Field(
        timedelta(seconds=4),
        description="An unused connection is closed after this. Keep it below the peer's own "
        "limit, so that no request is written to a connection that the peer is closing.",
    )
    reply_limit: Size = Field(
        1024 * 1024, description="Largest answer body that is read and kept.", ge=0
    )
    retry_statuses: tuple[Annotated[int, Field(ge=300, le=599)], ...] = Field(
        (), description="More statuses that mean 'later', besides the ones listed in the notes."
    )
    reject_statuses: tuple[Annotated[int, Field(ge=300, le=599)], ...] = Field(
        (), description="Statuses that mean 'never', whatever the notes say."
    )

    @model_validator(mode="after")
    def _waits(self) -> ClientSettings:
        if min(self.timeout, self.connect_timeout) <= timedelta(0):
            raise ValueError("timeout and connect_timeout are more than nothing")
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("tls needs an address that starts with https://")
        return self
