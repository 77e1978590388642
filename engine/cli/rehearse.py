"""``carebus rehearse``: what a changed project would have made of stored messages."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.control import DATA, Data, moment
from engine.cli.exits import Exit
from engine.cli.output import Form, print_json, print_table, terminal
from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.flow.rehearsal import Finding


def rehearse(
    config: Project = PROJECT,
    data: Data = DATA,
    since: Annotated[str, typer.Option(help="A time, or how long ago: 30m, 24h, 7d.")] = "24h",
    channel: Annotated[
        str, typer.Option(help="Only what it has received, or what goes to it.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many messages.")] = 1000,
    show: Annotated[
        int, typer.Option(min=0, help="Show the leaves of so many differing outputs.")
    ] = 10,
    form: Annotated[
        Form | None, typer.Option("--format", help="table or json; a pipe gets json.")
    ] = None,
) -> None:
    """Put stored messages through the project in --config and compare with what was sent.

    Nothing is sent or written; the engine may be running. The values that differ are shown: use it
    where you may see patients' data.
    Exit code 1 when something would newly fail.
    """
    from engine.cli.project import configuration_of
    from engine.flow.rehearsal import Outcome, Rehearsal
    from engine.store.archive import archived

    configuration = configuration_of(config)
    if channel and channel not in configuration.channels:
        raise typer.BadParameter(f"there is no channel '{channel}'", param_hint="--channel")
    rehearsal = Rehearsal(configuration)
    counts: Counter[str] = Counter()
    shown: list[Finding] = []
    messages = 0
    for message, deliveries in archived(data, datetime.fromisoformat(moment(since)), limit):
        findings = [
            one
            for one in rehearsal.of(message, deliveries)
            if channel in ("", one.source, one.channel)
        ]
        messages += bool(findings)
        counts.update(one.outcome.value for one in findings)
        shown += (one for one in findings if one.outcome is not Outcome.SAME)
    if form is Form.JSON or (form is None and not terminal()):
        found = [_plain(one) for one in shown]
        print_json({"messages": messages, "counts": dict(counts), "findings": found})
    else:
        _print(messages, counts, shown, show)
    if counts[Outcome.FAILING.value]:
        raise typer.Exit(Exit.FAILED)


def _plain(one: Finding) -> dict[str, Any]:
    error = one.error
    return {
        "message": one.message,
        "channel": one.source,
        "route": one.route,
        "target": one.target,
        "outcome": one.outcome.value,
        "error": error
        and {"code": error.code, "summary": error.summary, "location": error.location},
        "changed": [{"path": path, "sent": old, "now": new} for path, old, new in one.changed],
    }


def _print(messages: int, counts: Counter[str], found: list[Finding], show: int) -> None:
    from engine.flow.rehearsal import Outcome

    told = ", ".join(f"{counts[one.value]} {one.value}" for one in Outcome if counts[one.value])
    typer.echo(f"{messages} messages: {told or 'no deliveries'}")
    failing = [one for one in found if one.error is not None]
    if failing:
        typer.echo("")
        print_table(
            ("message", "target", "outcome", "error", "where"),
            [
                (
                    one.message,
                    f"{one.route}/{one.target}",
                    one.outcome.value,
                    f"{one.error.code} {one.error.summary}" if one.error else "",
                    (one.error.location or "") if one.error else "",
                )
                for one in failing[:show]
            ],
        )
    for one in [one for one in found if one.changed][:show]:
        typer.echo(f"\n{one.message}  {one.route}/{one.target}")
        print_table(
            ("path", "sent", "now"),
            [(path, _shown(old), _shown(new)) for path, old, new in one.changed],
        )


def _shown(value: str | None) -> str:
    return "-" if value is None else value
