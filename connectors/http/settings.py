"""What a channel of the http connector may say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.webclient.settings import Auth, ClientSettings, HeaderValue
from engine.units import Duration


class DestinationSettings(ClientSettings):
    """One address that takes each message as a request body."""

    method: Literal["POST", "PUT"] = Field("POST", description="Request method.")
    content_type: HeaderValue | None = Field(
        None,
        description="Content-Type of the requests; omit to send the payload's own.",
        examples=["application/hl7-v2; charset=utf-8"],
    )
    success: tuple[Annotated[int, Field(ge=200, le=599)], ...] = Field(
        (), description="Statuses that mean yes; omit for 200 to 299."
    )
    reply: Literal["none", "hl7v2"] = Field(
        "none",
        description="hl7v2: the answer's body is an HL7 acknowledgement, and its MSA-1 decides "
        "(AA yes, AE later, AR never). none: the status decides.",
    )
    idempotency_key: bool = Field(
        False,
        description="Send an Idempotency-Key header, the same for every attempt to deliver the "
        "same content, so that a peer that knows the header ignores a second copy.",
    )


class SourceSettings(BaseModel):
    """One listener: an address, a port, a path."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; 0.0.0.0 (or ::) for every network card.",
    )
    port: int = Field(
        ge=1, le=65535, description="Port; one channel each, none is shared.", examples=[8080]
    )
    path: str = Field(
        "/",
        pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@/-]*$",
        description="The only path that is served, without query.",
        examples=["/hl7"],
    )
    methods: tuple[Literal["POST", "PUT"], ...] = Field(
        ("POST",), min_length=1, description="Request methods that are taken."
    )
    auth: Auth | None = Field(
        None, description="What a sender has to show; omit to take everyone that reaches the port."
    )
    tls: str | dict[str, Any] | None = Field(
        None,
        repr=False,
        description="TLS profile (name or inline): certificate, key, client certificates.",
    )
    content_types: tuple[str, ...] = Field(
        (),
        description="Content types that are taken, without parameters; omit for all.",
        examples=[["application/json"]],
    )
    arrival_timeout: Duration = Field(
        timedelta(seconds=30),
        description="A request that has not arrived whole after this ends its connection.",
    )
