"""``carebus messages``: where is it?  Search, and one message's whole story."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from engine.cli.control import DATA, Data, control, moment, search_of
from engine.cli.output import (
    Form,
    brief_time,
    local_time,
    print_json,
    print_table,
    printable,
    terminal,
)
from engine.cli.words import word

messages = typer.Typer(help="Find messages and show what became of them.", no_args_is_help=False)

_AS = Annotated[Form, typer.Option("--format", help="table or json.")]


@messages.callback(invoke_without_command=True)
def search(
    context: typer.Context,
    data: Data = DATA,
    channel: Annotated[str, typer.Option(help="Received by it, or sent to it.")] = "",
    state: Annotated[str, typer.Option(help="dead, retrying, uncertain, sent, unrouted, …")] = "",
    type: Annotated[str, typer.Option(help="As the format names it: ADT^A01.")] = "",
    control_id: Annotated[str, typer.Option(help="As the sender names it: MSH-10.")] = "",
    patient: Annotated[str, typer.Option(help="The patient's number.")] = "",
    visit: Annotated[str, typer.Option(help="The visit's number.")] = "",
    order: Annotated[str, typer.Option(help="The order's number.")] = "",
    origin: Annotated[str, typer.Option(help="Its id at the first engine of a link.")] = "",
    since: Annotated[str, typer.Option(help="A time, or how long ago: 30m, 24h, 7d.")] = "",
    until: Annotated[str, typer.Option(help="A time, or how long ago.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    before: Annotated[str, typer.Option(help="Only older than this message (next page).")] = "",
    form: _AS = Form.TABLE,
) -> None:
    """Search the stored messages, newest first; every option given must match.

    ``carebus messages show ID`` tells the whole story of one.
    """
    if context.invoked_subcommand is not None:
        return
    given = search_of(
        channel=channel,
        state=state,
        type=type,
        control_id=control_id,
        patient=patient,
        visit=visit,
        order=order,
        origin=origin,
        since=moment(since),
        until=moment(until),
        limit=limit,
        before=before,
    )
    with control(data) as engine:
        found = engine.search(given)
    if form is Form.JSON:
        print_json(found)
        return
    print_table(
        ("message", "received at", "channel", "type", "control id", "state", "deliveries"),
        map(_row, found["messages"]),
    )
    if found["next"] and terminal():
        typer.echo(f"{word('more with')} --before {found['next']}", err=True)


@messages.command("show")
def show(
    message: Annotated[str, typer.Argument(help="Its id, as the search shows it.")],
    data: Data = DATA,
    content: Annotated[
        bool, typer.Option("--content", help="Also the bytes; this is logged with your name.")
    ] = False,
    form: _AS = Form.TABLE,
) -> None:
    """Show one message: its deliveries, every step of each, and with --content what was in it."""
    with control(data) as engine:
        found = engine.show(message, content=content)
    if form is Form.JSON:
        print_json(found)
        return
    print_table(
        ("message", "received at", "channel", "type", "control id", "state", "size"),
        [(*_facts(found), str(found["size"]))],
    )
    print_table(
        ("delivery", "route", "target", "channel", "state", "attempt", "error"),
        [
            (
                str(one["delivery"]),
                one["route"],
                one["target"],
                one["channel"],
                word(one["state"]),
                str(one["attempt"]),
                _error(one["error"]),
            )
            for one in found["deliveries"]
        ],
    )
    print_table(
        ("at", "delivery", "state", "attempt", "actor", "error"),
        [
            (
                local_time(event["at"]),
                str(event["delivery"] or ""),
                word(event["state"]),
                str(event["attempt"] or ""),
                event["actor"],
                _error(event["error"]),
            )
            for event in found["history"]
        ],
    )
    if content:
        _contents(found)


def _contents(found: Any) -> None:
    keys = ", ".join(f"{name} {value}" for name, value in found["keys"].items())
    typer.echo(f"{word('keys')}: {keys or word('none')}")
    for name, value in found.get("attributes", {}).items():
        typer.echo(f"{name}: {printable(value)}")
    _content(word("content"), found["content"] or {})
    for event in found["history"]:
        for part in ("sent", "reply"):
            if event[part] is not None:
                name = word("sent content") if part == "sent" else word("reply")
                _content(f"{name} · {word('delivery')} {event['delivery']}", event[part])


def _content(title: str, payload: dict[str, Any]) -> None:
    kind = " ".join(filter(None, (payload.get("content_type"), payload.get("charset"))))
    typer.echo(f"--- {title} {kind}".rstrip())
    text = payload.get("text", payload.get("base64", word("purged")))
    # HL7 ends its segments with a bare CR, which a terminal would write over itself.
    sys.stdout.write(printable(text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")) + "\n")


def _facts(found: Any) -> tuple[str, ...]:
    return (
        found["message_id"],
        brief_time(found["received_at"]),
        found["channel"],
        found["type"],
        found["control_id"],
        word(found["state"]),
    )


def _row(found: Any) -> tuple[str, ...]:
    return (*_facts(found), _deliveries(found["deliveries"]))


def _deliveries(given: Iterable[Any]) -> str:
    return ", ".join(f"{one['delivery']} {one['channel']} {word(one['state'])}" for one in given)


def _error(error: Any) -> str:
    if error is None:
        return ""
    where = f" ({error['location']})" if error["location"] else ""
    return f"{error['code']} {error['summary']}{where}"
