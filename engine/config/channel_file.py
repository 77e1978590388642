"""The keys of channels/*.yaml: one model for each direction, which validation and the JSON Schema
share.  What stands under ``settings:`` is the connector's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engine.units import Duration, Rate, Size

INDEX_NAME = r"^[a-z][a-z0-9_]*$"

Text = Annotated[str, StringConstraints(min_length=1)]
IndexName = Annotated[str, StringConstraints(pattern=INDEX_NAME)]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeepKeys(_Keys):
    content: Duration | None = Field(None, description="How long payloads stay. Default 90d.")
    events: Duration | None = Field(None, description="How long events stay. Default 3y.")


class AlertKeys(_Keys):
    queue_over: int | None = Field(None, ge=1, description="More deliveries than this wait.")
    oldest_over: Duration | None = Field(None, description="One has waited longer than this.")
    idle_over: Duration | None = Field(None, description="Nothing has come for this long.")


class LimitKeys(_Keys):
    message: Size | None = Field(None, description="The largest message. Default 16MiB.")
    connections: int | None = Field(None, ge=1, le=10_000, description="At once. Default 50.")
    idle: Duration | None = Field(None, description="A silent connection is closed. Default 10m.")
    rate: Rate | None = Field(None, description="Messages at most, such as 500/s. Default: any.")


class DuplicateKeys(_Keys):
    key: list[Text] = Field(min_length=1, description="Paths whose values together name a message.")
    within: Duration = Field(description="A second copy is answered but not taken for this long.")


class ValidateKeys(_Keys):
    level: Literal["off", "warn", "reject"] = Field(
        description="warn: recorded, and it goes on. reject: refused, or a dead letter."
    )
    with_: Literal["fast", "complete"] = Field(
        "fast", alias="with", description="complete: a second, slower library checks as well."
    )
    schema_: Text | None = Field(
        None, alias="schema", description="A file of the project: JSON Schema (json) or XSD (xml)."
    )
    version: Text = Field("R4", description="Of FHIR: R4 or R5.")


class ColumnKeys(_Keys):
    name: Text = Field(description="What paths call it.")
    width: int = Field(ge=1, description="How many characters, of a table with fixed widths.")
    align: Literal["left", "right"] = Field("left", description="Where its text stands.")


class LayoutKeys(_Keys):
    separator: Text | None = Field(
        None, description="One character, or tab, semicolon, pipe, space. Default ','."
    )
    quote: Text | None = Field(None, description="One character, or none. Default '\"'.")
    header: bool | None = Field(
        None, description="The first row names the columns. Default true, but not of fixed widths."
    )
    columns: list[Text | ColumnKeys] | None = Field(
        None, description="Their names, or {name: id, width: 8} each."
    )


class RetryKeys(_Keys):
    first: Duration | None = Field(None, description="The first wait. Default 1s.")
    factor: float | None = Field(None, ge=1, le=100, description="Each wait grows. Default 2.")
    max: Duration | None = Field(None, description="The longest wait. Default 5m.")
    give_up: Duration | Literal["never"] | None = Field(
        None, description="Dead letter after waiting this long in all, or never. Default 3d."
    )
    jitter: float | None = Field(
        None, ge=0, le=1, description="Each wait is spread by ± this fraction. Default 0.1."
    )


class KeyedOrdering(_Keys):
    key: Text = Field(
        description="An index key of the inbound channels (patient), or a path of their format."
    )
    lanes: int | None = Field(
        None,
        ge=1,
        le=256,
        description="How many lanes run side by side. Default 4, or what the connector can send.",
    )


class ChannelKeys(_Keys):
    """What both directions have."""

    system: Text = Field(description="The hospital system at the other end: HIS, LIS, EMR …")
    direction: Literal["inbound", "outbound"] = Field(
        description="inbound: it sends to us; outbound: we send to it."
    )
    connector: Text = Field(description="How we speak with it: mllp, http, fhir, file …")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="The connector's own settings."
    )
    format: Text = Field(
        description="How its payload is read: hl7v2, fhir, json, xml, soap, cda, delimited, astm, "
        "raw."
    )
    charset: Text | None = Field(None, description="Where the payload names none. Default utf-8.")
    timezone: Text | None = Field(
        None, description="Of times without a zone, such as Asia/Shanghai. Default UTC."
    )
    validation: Literal["off", "warn", "reject"] | ValidateKeys = Field(
        "off",
        alias="validate",
        description="Strict validation of what comes in, or of what mappings made: off, warn, "
        "reject, or {level: warn, with: complete, schema: FILE}.",
    )
    alerts: AlertKeys = Field(default_factory=AlertKeys, description="When to tell somebody.")


class InboundKeys(ChannelKeys):
    """An inbound channel's file."""

    direction: Literal["inbound"] = Field(description="It sends to us.")
    acknowledge: Literal["accepted", "delivered"] = Field(
        "accepted",
        description="The positive answer is given when the message is durable, or when every "
        "target said yes.",
    )
    duplicates: DuplicateKeys | None = Field(None, description="What makes two messages one.")
    unrouted: Literal["error", "ignore"] = Field(
        "error", description="A message that no route takes is an error, or nothing."
    )
    limits: LimitKeys = Field(default_factory=LimitKeys, description="What the source refuses.")
    keep: KeepKeys = Field(default_factory=KeepKeys, description="How long messages are kept.")
    index: dict[IndexName, Text] | None = Field(
        None, description="Values to search by: name → path. Each format has defaults."
    )
    layout: LayoutKeys | None = Field(
        None, description="What its tables look like, for paths of this file and of routes."
    )
    structures: Text | None = Field(
        None,
        description="A file with this sender's own HL7 v2 message structures: "
        "structures/our-lab.txt. They come before HL7's.",
    )


class OutboundKeys(ChannelKeys):
    """An outbound channel's file."""

    direction: Literal["outbound"] = Field(description="We send to it.")
    ordering: Literal["strict", "none"] | KeyedOrdering = Field(
        "strict", description="strict, none, or {key: patient, lanes: 8}."
    )
    concurrency: int | None = Field(
        None, ge=1, le=1000, description="Sends at once, for 'ordering: none'. Default 1."
    )
    retry: RetryKeys = Field(default_factory=RetryKeys, description="When to try again.")
    on_uncertain: Literal["hold", "retry"] | None = Field(
        None,
        description="An unknown outcome waits for a person, or is sent again (the peer must "
        "ignore a second copy). Default: hold, and retry where the connector promises that.",
    )
