"""What a channel of the http connector may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from connectors.webclient.settings import ClientSettings, HeaderValue


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
