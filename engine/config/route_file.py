"""The keys of routes.yaml, and those of its grammar that this version does not have yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from engine.contract import NAME_PATTERN

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN.pattern)]
Text = Annotated[str, StringConstraints(min_length=1)]

UNAVAILABLE_IN_ROUTE: Final[Mapping[str, str]] = {
    "reply": "request/reply routes",
    "split": "splitting one message into several",
    "enrich": "asking another channel for a value",
    "delay": "delayed delivery",
    "schedule": "scheduled delivery",
    "throttle": "throttling a route",
    "fallback": "a fallback target",
}
UNAVAILABLE_IN_TARGET: Final[Mapping[str, str]] = {
    "enrich": "asking another channel for a value",
    "delay": "delayed delivery",
    "schedule": "scheduled delivery",
    "throttle": "throttling a target",
    "fallback": "a fallback target",
    "reply": "request/reply targets",
}


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetKeys(_Keys):
    """One target of a route."""

    channel: Text = Field(description="The outbound channel.")
    mapping: Text | None = Field(
        None, description="How the message changes. Without one it is passed on byte for byte."
    )
    when: Text | None = Field(None, description="Only messages for which this is true.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="Values for the parameters that the mapping declares."
    )
    name: Name | None = Field(None, description="Unique in its route. Default: the channel's.")


class RouteKeys(_Keys):
    """One route."""

    name: Name = Field(description="Unique; each delivery's record shows it.")
    origins: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        alias="from", description="The inbound channel, or a list of them."
    )
    when: Text | None = Field(None, description="Only messages for which this is true.")
    to: list[TargetKeys] = Field(min_length=1, description="Each gets its own delivery.")


class RoutesFile(_Keys):
    """routes.yaml: which message goes where, through which mapping."""

    routes: list[RouteKeys]
