"""What a channel of the fhir connector may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from connectors.webclient.settings import ClientSettings


class FhirSettings(ClientSettings):
    """One FHIR server; ``url`` is its base, without a trailing resource type."""

    interaction: Literal["create", "conditional_create", "update", "conditional_update"] = Field(
        "create",
        description="What is done with a payload that is one resource. create: POST [base]/Type. "
        "conditional_create: the same with If-None-Exist from its identifier. update: PUT "
        "[base]/Type/id. conditional_update: PUT [base]/Type?identifier=system|value.",
    )
    identifier_system: str | None = Field(
        None,
        description="For the conditional interactions: use the identifier with this system; omit "
        "for the first identifier that has a value.",
        examples=["urn:oid:1.2.840.113619.6.1"],
    )
    messages: bool = Field(
        True,
        description="Post a Bundle of type message to [base]/$process-message; false posts it to "
        "the base.",
    )
    prefer: Literal["minimal", "representation", "OperationOutcome"] = Field(
        "minimal", description="What the server is asked to answer with (Prefer: return=…)."
    )
