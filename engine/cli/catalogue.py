"""``carebus list``: the connectors and the project's own parts, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.output import Form, print_json, print_table
from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.contract import ConnectorSpec


def list_(
    config: Project = PROJECT,
    form: Annotated[Form, typer.Option("--format", help="table or json.")] = Form.TABLE,
) -> None:
    """List the installed connectors, and the channels, routes and mappings of the project."""
    from engine.cli.project import load_project
    from engine.config.connectors import find_connectors

    connectors, _ = find_connectors()
    rows: list[tuple[str, str, str]] = [
        ("connector", name, f"{directions(spec)}; {spec.stability}; {spec.summary}")
        for name, spec in sorted(connectors.items())
    ]
    configuration = load_project(config).configuration
    if configuration is not None:
        rows += [
            ("channel", one.name, f"{one.system} {one.direction} {one.spec.name}")
            for one in configuration.channels.values()
        ]
        rows += [
            ("route", one.name, f"{', '.join(one.origins)} → {_targets(one)}")
            for one in configuration.routes
        ]
        rows += [
            ("mapping", one.name, f"{one.source_format} → {one.target_format}")
            for one in configuration.mappings.values()
        ]
    if form is Form.JSON:
        print_json([{"kind": kind, "name": name, "about": about} for kind, name, about in rows])
    else:
        print_table(("kind", "name", "about"), rows)
    if configuration is None:
        typer.echo("the project has errors and is not listed; see carebus lint", err=True)


def directions(spec: ConnectorSpec) -> str:
    sides = (("in", spec.source), ("out", spec.destination))
    return "/".join(name for name, role in sides if role is not None)


def _targets(route: Any) -> str:
    return ", ".join(target.channel for target in route.targets)
