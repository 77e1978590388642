"""The ``settings:`` of an mllp channel, inbound and outbound."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.units import Duration

Tls = str | dict[str, Any] | None


class MllpListenerSettings(BaseModel):
    """Inbound: where to listen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every interface.")
    port: int = Field(ge=0, le=65535, description="TCP port to listen on.", examples=[2575])
    tls: Tls = Field(None, description="A TLS profile's name or TLS settings; none: plain TCP.")
    acknowledge_timeout: Duration | None = Field(
        None,
        description="Answer AE when the engine has not accepted a message after so long; "
        "none: the sender waits as long as the engine needs.",
        examples=["30s"],
    )
    handshake_timeout: Duration = Field(
        timedelta(seconds=10), description="How long a peer may take for the TLS handshake."
    )


class MllpSenderSettings(BaseModel):
    """Outbound: whom to send to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="Name or address of the receiving system.")
    port: int = Field(ge=1, le=65535, description="Its TCP port.", examples=[2575])
    tls: Tls = Field(None, description="A TLS profile's name or TLS settings; none: plain TCP.")
    connect_timeout: Duration = Field(
        timedelta(seconds=10), description="How long connecting and the TLS handshake may take."
    )
    reply_timeout: Duration = Field(
        timedelta(seconds=30),
        description="How long to wait for the acknowledgement; after it the outcome is unknown.",
    )
    match_control_id: bool = Field(
        True,
        description="Take a reply only when its MSA-2 is the MSH-10 that was sent. "
        "Switch off only for a receiver that does not repeat it.",
    )
