"""``carebus replay`` and ``carebus cancel``: what a person decides about deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from engine.cli.control import DATA, Data, control, moment, search_of
from engine.cli.exits import Exit
from engine.cli.output import Form, print_json, print_table, terminal


def replay(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Delivery numbers, or message ids for all that came of them."),
    ] = None,
    data: Data = DATA,
    state: Annotated[
        str,
        typer.Option(
            help="Without ids: all that are dead, uncertain, cancelled, sent, unrouted or filtered."
        ),
    ] = "",
    channel: Annotated[str, typer.Option(help="Without ids: only of this channel.")] = "",
    type: Annotated[str, typer.Option(help="Without ids: only this type.")] = "",
    patient: Annotated[str, typer.Option(help="Without ids: only this patient's.")] = "",
    since: Annotated[str, typer.Option(help="Without ids: a time, or how long ago.")] = "",
    until: Annotated[str, typer.Option(help="Without ids: a time, or how long ago.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be.")] = False,
    form: Annotated[Form, typer.Option("--format", help="table or json.")] = Form.TABLE,
) -> None:
    """Send deliveries once more, through the mapping deployed now.

    Give delivery numbers or message ids; or describe them (--state dead --channel emr-fhir
    --since 2h): then they are shown first, and replayed oldest first once you agree.
    A message that no route wanted (unrouted, filtered) is routed again instead.
    """
    given = search_of(
        state=state,
        channel=channel,
        type=type,
        patient=patient,
        since=moment(since),
        until=moment(until),
    )
    if bool(ids) == bool(given):
        raise typer.BadParameter("give ids, or describe them with --state and the others")
    if ids:
        _each(ids, data, form)
        return
    if not state:
        raise typer.BadParameter("name the state of the deliveries to replay: --state dead")
    with control(data) as engine:
        planned = engine.replay_many(given, dry_run=True)
        if dry_run or not planned["deliveries"]:
            _show(planned, form)
            return
        if not yes:
            if not terminal():
                raise typer.BadParameter("nobody can be asked here; add --yes or --dry-run")
            _show(planned, Form.TABLE)
            typer.confirm(f"replay {len(planned['deliveries'])} of them?", abort=True)
        done = engine.replay_many(given, dry_run=False)
    _show(done, form)
    if done["failed"]:
        raise typer.Exit(Exit.FAILED)


def cancel(
    deliveries: Annotated[list[int], typer.Argument(help="Delivery numbers.", min=1)],
    data: Data = DATA,
) -> None:
    """Never send these deliveries; their messages and history are kept."""
    with control(data) as engine:
        for delivery in deliveries:
            engine.cancel(delivery)
            typer.echo(f"delivery {delivery} cancelled")


def _each(ids: Sequence[str], data: Any, form: Form) -> None:
    failed = False
    with control(data) as engine:
        for one in ids:
            if one.isascii() and one.isdigit():
                engine.replay(int(one))
                if form is Form.JSON:
                    print_json({"delivery": int(one)})
                else:
                    typer.echo(f"delivery {one} replayed")
            else:
                answer = engine.replay_message(one)
                _show(answer, form)
                failed = failed or bool(answer["failed"])
    if failed:
        raise typer.Exit(Exit.FAILED)


def _show(answer: Any, form: Form) -> None:
    if form is Form.JSON:
        print_json(answer)
        return
    failed = answer.get("failed", [])
    print_table(
        ("delivery", "message", "route", "channel", "state", "error"),
        [
            (
                str(one["delivery"] or "-"),
                one["message_id"],
                one["route"] or "-",
                one["channel"],
                one["state"] if answer["dry_run"] else "replayed",
                "",
            )
            for one in answer["deliveries"]
        ]
        + [
            (
                str(one["delivery"] or "-"),
                one["message_id"],
                one["route"] or "-",
                one["channel"],
                one["state"],
                f"{one['error']['code']} {one['error']['summary']}",
            )
            for one in failed
        ],
    )
