"""``carebus route``: where would this message go, and why not elsewhere?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.exits import Exit
from engine.cli.output import Form, print_json, print_table
from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.config.model import Channel, Configuration
    from engine.contract import Document, MapContext
    from engine.mapping import Expression


def route(
    file: Annotated[Path, typer.Argument(help="A message; - is standard input.")],
    origin: Annotated[str, typer.Option("--from", help="The inbound channel it comes in by.")],
    config: Project = PROJECT,
    form: Annotated[Form, typer.Option("--format", help="table or json.")] = Form.TABLE,
) -> None:
    """Show the plan for a message: every route of the channel, whether it matches and why not.

    Nothing is sent.  Exit code 1 when no route wants the message, or a condition fails.
    """
    from engine.cli.project import configuration_of
    from engine.cli.try_out import context_of, parse, read_payload

    configuration = configuration_of(config)
    channel = inbound_channel(configuration, origin)
    payload = read_payload(file, channel.format.name)
    document = parse(payload, channel.format.name, channel.charset)
    context = context_of(channel)
    plan = planned(configuration, channel, document, context)
    shown = {
        "type": channel.format.key(document),
        "control_id": channel.format.control_id(document),
        "routes": plan,
    }
    if form is Form.JSON:
        print_json(shown)
    else:
        print_table(
            ("route", "matches", "target", "channel", "mapping", "why"),
            [row for one in plan for row in _rows(one)],
        )
    if not any(target["matches"] for one in plan for target in one["targets"]):
        typer.echo(f"no route wants it: it would be {channel_verdict(channel)}", err=True)
        raise typer.Exit(Exit.FAILED)
    if any(one["error"] for one in plan):
        raise typer.Exit(Exit.FAILED)


def planned(
    configuration: Configuration, channel: Channel, document: Document, context: MapContext
) -> list[dict[str, Any]]:
    """One entry for each route of the channel, in order, with each of its targets."""
    from engine.flow.routing import Router

    plan: list[dict[str, Any]] = []
    for verdict in Router(configuration, channel.name).verdicts(document, context):
        route = verdict.route
        plan.append(
            {
                "route": route.name,
                "location": route.location,
                "matches": verdict.matched,
                "when": _written(configuration, route.when),
                "error": verdict.error
                and {
                    "code": verdict.error.code,
                    "summary": verdict.error.summary,
                    "location": verdict.error.location,
                },
                "targets": [
                    {
                        "target": target.name,
                        "channel": target.channel,
                        "mapping": target.mapping.name if target.mapping else None,
                        "when": _written(configuration, target.when),
                        "matches": target in verdict.targets,
                    }
                    for target in route.targets
                ],
            }
        )
    return plan


def _written(configuration: Configuration, when: Expression | None) -> str:
    """A condition as it stands in routes.yaml, after its place."""
    if when is None:
        return ""
    file, line, _ = when.source.rsplit(":", 2)
    try:
        lines = (configuration.root / file).read_text(encoding="utf-8").splitlines()
        return f"{when.source}: {lines[int(line) - 1].strip()}"
    except (OSError, ValueError, IndexError):
        return when.source


def inbound_channel(configuration: Configuration, name: str) -> Channel:
    """Raises typer.BadParameter, with the nearest name, when there is none."""
    from engine.syntax.nearest import nearest

    inbound = {
        channel.name: channel
        for channel in configuration.channels.values()
        if channel.direction == "inbound"
    }
    if name not in inbound:
        near = nearest(name, inbound)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(sorted(inbound))}"
        raise typer.BadParameter(f"there is no inbound channel '{name}'; {hint}")
    return inbound[name]


def channel_verdict(channel: Channel) -> str:
    return "FILTERED" if channel.unrouted == "ignore" else "UNROUTED"


def _rows(one: dict[str, Any]) -> list[tuple[str, ...]]:
    error = one["error"]
    rows: list[tuple[str, ...]] = []
    for target in one["targets"]:
        if error is not None:
            why = f"{error['code']} {error['summary']} ({error['location'] or one['location']})"
        elif not one["matches"]:
            why = f"not true: {one['when']}"
        elif not target["matches"]:
            why = f"not true: {target['when']}"
        else:
            why = ""
        rows.append(
            (
                one["route"],
                "yes" if target["matches"] else "no",
                target["target"],
                target["channel"],
                target["mapping"] or "-",
                why,
            )
        )
    return rows
