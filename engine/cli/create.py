"""``carebus create``: a channel file to start from, written from the connector's own settings."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.contract import ConnectorSpec, Role

_WIDTH = 96


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


def create(
    what: Annotated[str, typer.Argument(metavar="CONNECTOR:NAME", help="mllp:his-adt")],
    direction: Annotated[
        Direction | None, typer.Option(help="Needed when the connector has both.")
    ] = None,
    system: Annotated[str, typer.Option(help="The hospital system at the other end.")] = "HIS",
    config: Project = PROJECT,
    write: Annotated[
        bool, typer.Option("--write", "-w", help="Write channels/NAME.yaml instead of printing.")
    ] = False,
) -> None:
    """Print a commented channel file for a connector; every setting is in it, explained."""
    from engine.contract import NAME_PATTERN

    connector, _, name = what.partition(":")
    if not NAME_PATTERN.match(name):
        raise typer.BadParameter("write CONNECTOR:NAME, such as mllp:his-adt")
    spec = known_connector(connector)
    text = channel_file(spec, _role(spec, direction), system)
    if not write:
        typer.echo(text, nl=False)
        return
    path = config / "channels" / f"{name}.yaml"
    if path.exists():
        raise typer.BadParameter(f"{path} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    typer.echo(f"{path} written; name it in routes.yaml, then: carebus lint {config}")


def known_connector(name: str) -> ConnectorSpec:
    """Raises typer.BadParameter, with the nearest name, for one that is not installed."""
    from engine.config.connectors import find_connectors
    from engine.syntax.nearest import nearest

    connectors, _ = find_connectors()
    if name not in connectors:
        near = nearest(name, connectors)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(connectors))}"
        raise typer.BadParameter(f"there is no connector '{name}'; {hint}")
    return connectors[name]


def channel_file(spec: ConnectorSpec, direction: Direction, system: str) -> str:
    """The file's text.  Required settings stand with a placeholder, the others as comments with
    their defaults."""
    role = role_of(spec, direction)
    lines = [
        f"# {spec.summary}",
        f"# carebus describe {spec.name} explains it; carebus lint checks this file.",
        f"system: {system}",
        f"direction: {direction}",
        f"connector: {spec.name}",
        "settings:",
        *_settings(role),
        f"{f'format: {_format(spec, direction)}':<30}# {_other_formats(spec, direction)}",
    ]
    if direction is Direction.INBOUND:
        lines += [
            "# acknowledge: accepted       # durable; or delivered: every target said yes",
            "# duplicates: {key: [MSH-3, MSH-4, MSH-10], within: 24h}",
            "# unrouted: error             # a message that no route wants; or ignore",
        ]
    else:
        lines += [
            "# ordering: strict            # or none, or {key: patient, lanes: 4}",
            "# retry: {first: 1s, factor: 2, max: 5m, give_up: 3d}",
            "on_uncertain: hold            # or retry, where the peer ignores a second copy",
        ]
    return "\n".join(lines) + "\n"


def role_of(spec: ConnectorSpec, direction: Direction) -> Role:
    role = spec.source if direction is Direction.INBOUND else spec.destination
    if role is None:
        raise typer.BadParameter(f"the connector '{spec.name}' has no {direction} side")
    return role


def _role(spec: ConnectorSpec, given: Direction | None) -> Direction:
    if given is not None:
        return given
    if spec.source is not None and spec.destination is not None:
        raise typer.BadParameter(f"'{spec.name}' goes both ways; add --direction inbound|outbound")
    return Direction.OUTBOUND if spec.source is None else Direction.INBOUND


def _settings(role: Role) -> Iterator[str]:
    for name, field in role.settings.model_fields.items():
        for line in textwrap.wrap(field.description or "", _WIDTH):
            yield f"  # {line}"
        if field.is_required():
            yield f"  {name}: {_placeholder(field)}"
        else:
            yield f"  # {name}: {shown_default(field)}".rstrip()


def _format(spec: ConnectorSpec, direction: Direction) -> str:
    """That of the connector's own example of this direction, else of any; hl7v2 without one."""
    formats: dict[str | None, str] = {}
    for example in spec.examples:
        keys = dict(re.findall(r"(?m)^(direction|format): *(\w+)", example))
        if "format" in keys:
            formats.setdefault(keys.get("direction"), keys["format"])
    return formats.get(direction.value) or next(iter(formats.values()), "hl7v2")


def _other_formats(spec: ConnectorSpec, direction: Direction) -> str:
    chosen = _format(spec, direction)
    return "or " + ", ".join(name for name in ("hl7v2", "fhir", "json", "raw") if name != chosen)


def _placeholder(field: Any) -> str:
    examples = field.examples or []
    if examples:
        return _plain(examples[0])
    if field.annotation is int:
        return "2575"
    if field.annotation is bool:
        return "true"
    return "CHANGE-ME"


def shown_default(field: Any) -> str:
    """A field's default as it would be written in YAML; empty for none."""
    return _plain(field.get_default(call_default_factory=True))


def _plain(value: Any) -> str:
    from datetime import timedelta

    from pydantic import BaseModel

    from engine.units import format_duration

    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, int) and value >= 1024 and value % 1024 == 0:
        for unit, size in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
            if value % size == 0:
                return f"{value // size}{unit}"
    if isinstance(value, BaseModel):
        return "{}"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(part)}" for key, part in value.items()) + "}"
    return str(value)
