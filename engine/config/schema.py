"""JSON Schemas of the project's files, generated from the models that check them, so that an editor
with the usual YAML support completes and documents every key."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, Literal, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from engine.config.channel_file import InboundKeys, OutboundKeys
from engine.config.mapping_schema import MAPPING_SCHEMA
from engine.config.route_file import RoutesFile
from engine.config.tls import TlsFile
from engine.contract import ConnectorSpec
from engine.formats import FORMATS

Kind = Literal["channel", "routes", "mapping", "tls"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE: Final = {"type": "string", "pattern": r"\$\{(env|file):[^}]+\}"}


def schema(kind: Kind, connectors: Mapping[str, ConnectorSpec]) -> dict[str, Any]:
    """A self-contained schema (2020-12) for one kind of file.  ``connectors`` matter for
    ``channel`` only: their settings are offered once ``connector:`` and ``direction:`` say whose.
    """
    match kind:
        case "channel":
            return _channel(connectors)
        case "routes":
            return _titled("A Carebus routes.yaml", RoutesFile)
        case "tls":
            return _titled("A Carebus tls.yaml", TlsFile)
        case "mapping":
            return deepcopy(MAPPING_SCHEMA)


def _titled(title: str, model: type[BaseModel]) -> dict[str, Any]:
    made = _with_references(model.model_json_schema())
    return {**made, "$schema": _DIALECT, "title": title}


def _channel(connectors: Mapping[str, ConnectorSpec]) -> dict[str, Any]:
    sides = {
        (name, direction): role.settings
        for name, spec in connectors.items()
        for direction, role in (("inbound", spec.source), ("outbound", spec.destination))
        if role is not None
    }
    models: list[type[BaseModel]] = [InboundKeys, OutboundKeys, *sides.values()]
    places, made = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)],
        ref_template="#/$defs/{model}",
    )
    definitions = _with_references(made.get("$defs", {}))
    rules = [
        _when({"direction": "inbound"}, places[InboundKeys, "validation"]),
        _when({"direction": "outbound"}, places[OutboundKeys, "validation"]),
    ]
    for (name, direction), model in sides.items():
        then: dict[str, Any] = {"properties": {"settings": places[model, "validation"]}}
        if any(field.is_required() for field in model.model_fields.values()):
            then["required"] = ["settings"]
        rules.append(_when({"connector": name, "direction": direction}, then))
    for direction in ("inbound", "outbound"):
        names = sorted(name for name, way in sides if way == direction)
        then = {"properties": {"connector": {"enum": names}}}
        rules.append(_when({"direction": direction}, then))
    return {
        "$schema": _DIALECT,
        "title": "A Carebus channel",
        "type": "object",
        "properties": {
            "direction": {"enum": ["inbound", "outbound"]},
            "format": {"enum": sorted(FORMATS)},
        },
        "required": ["direction"],
        "allOf": rules,
        "$defs": definitions,
    }


def _when(values: Mapping[str, str], then: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "if": {
            "properties": {key: {"const": value} for key, value in values.items()},
            "required": list(values),
        },
        "then": dict(then),
    }


def _with_references(node: Any) -> Any:
    """A number or boolean may also be a reference; a secret must be one."""
    if isinstance(node, list):
        return [_with_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "password":
        kept = {key: node[key] for key in ("title", "description") if key in node}
        return {**kept, **_REFERENCE}
    if node.get("type") in ("integer", "number", "boolean"):
        kept = {key: node[key] for key in ("title", "description", "default") if key in node}
        bare = {key: value for key, value in node.items() if key not in kept}
        return {**kept, "anyOf": [bare, _REFERENCE]}
    return {key: _with_references(value) for key, value in node.items()}
