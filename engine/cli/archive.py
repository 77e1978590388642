"""``carebus archive``: old content in compressed files that stay searchable."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.backup import STORE, As, Store, as_json, database_of, settings_of, told
from engine.cli.control import moment
from engine.cli.output import brief_time, print_json, print_table, printable
from engine.cli.project import PROJECT, Project
from engine.cli.words import word

if TYPE_CHECKING:
    from engine.store.backup.day_file import Part

archive = typer.Typer(
    help="Move old content out of the store into files, and find it there.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the archive.")]


@archive.command(
    "move",
    epilog="Example: carebus archive move /archive --older-than 60d --data /var/lib/carebus",
)
def move(
    folder: Folder,
    older_than: Annotated[
        str, typer.Option("--older-than", help="How long ago it was received: 90d; or a time.")
    ],
    config: Project = PROJECT,
    data: Store = STORE,
    form: As = None,
) -> None:
    """Move the content of finished messages into DIR; the engine may be running.

    What was received, sent and answered goes; the record of each message stays in the store.  May
    be stopped at any moment and started again.
    """
    from datetime import datetime

    from engine.store.backup import archiving, changing
    from engine.store.backup.failures import unusable
    from engine.store.backup.taking import writing
    from engine.store.content import ContentFolder

    limit = datetime.fromisoformat(moment(older_than))
    with writing(folder), database_of(settings_of(config, data)) as database:
        reader = database.connect_reader()
        try:
            with told() as progress, changing(database) as writer:
                moved = archiving.move(
                    reader,
                    writer,
                    ContentFolder(data / "content"),
                    folder,
                    limit,
                    lambda so_far: progress(word("messages"), so_far.removed),
                )
        except OSError as error:
            raise unusable(str(folder), error) from None
        finally:
            reader.close()
    if as_json(form):
        print_json({"archived": moved.archived, "removed": moved.removed})
    else:
        typer.echo(f"{moved.archived} messages archived, the content of {moved.removed} removed")


@archive.command("search")
def search(
    folder: Folder,
    channel: Annotated[str, typer.Option(help="Received by it.")] = "",
    type: Annotated[str, typer.Option(help="As the format names it: ADT^A01.")] = "",
    control_id: Annotated[str, typer.Option(help="As the sender names it: MSH-10.")] = "",
    patient: Annotated[str, typer.Option(help="The patient's number.")] = "",
    visit: Annotated[str, typer.Option(help="The visit's number.")] = "",
    order: Annotated[str, typer.Option(help="The order's number.")] = "",
    since: Annotated[str, typer.Option(help="A time, or how long ago: 30m, 24h, 7d.")] = "",
    until: Annotated[str, typer.Option(help="A time, or how long ago.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    form: As = None,
) -> None:
    """Search the archive, oldest first; every option given must match."""
    from datetime import datetime
    from itertools import islice

    from engine.store.backup import searching

    keys = {"patient": patient, "visit": visit, "order": order}
    wanted = searching.Wanted(
        channel=channel,
        type=type,
        control_id=control_id,
        keys={kind: value for kind, value in keys.items() if value},
        since=datetime.fromisoformat(moment(since)) if since else None,
        until=datetime.fromisoformat(moment(until)) if until else None,
    )
    found = list(islice(searching.search(folder, wanted), limit))
    if as_json(form):
        facts = ("id", "received_at", "channel", "type", "control_id", "state", "peer", "keys")
        print_json({"messages": [{name: getattr(one, name) for name in facts} for one in found]})
        return
    print_table(
        ("message", "received at", "channel", "type", "control id", "state"),
        [
            (one.id, brief_time(one.received_at), one.channel, one.type, one.control_id, one.state)
            for one in found
        ],
    )


@archive.command("show")
def show(
    message: Annotated[str, typer.Argument(help="Its id, as the search shows it.")],
    folder: Folder,
    form: As = None,
) -> None:
    """Show what was received, sent and answered of one message: patients' data."""
    from engine.store.backup import searching

    entry, parts = searching.show(folder, message)
    if as_json(form):
        shown = [_plain(part) for part in parts]
        print_json({"id": entry.id, "received_at": entry.received_at, "contents": shown})
        return
    for part in parts:
        where = f"{word('delivery')} {part.delivery} {part.route}/{part.target}"
        told_where = "" if part.what == "content" else f" · {where}"
        name = "sent content" if part.what == "sent" else part.what
        kind = " ".join(filter(None, (part.payload.content_type, part.payload.charset)))
        typer.echo(f"--- {word(name)}{told_where} · {part.at} {kind}".rstrip())
        text = _text(part)
        if text is None:
            text = base64.b64encode(part.payload.body).decode()
        sys.stdout.write(printable(text.replace("\r\n", "\n").replace("\r", "\n")).rstrip() + "\n")


@archive.command("verify")
def verify(folder: Folder, form: As = None) -> None:
    """Read every file of the archive; exit code 1 when one is damaged."""
    from engine.store.backup import searching

    found = [(day.day.isoformat(), messages) for day, messages in searching.verify(folder)]
    if as_json(form):
        print_json({"days": [{"day": day, "messages": messages} for day, messages in found]})
    else:
        print_table(("day", "messages"), [(day, str(messages)) for day, messages in found])


def _plain(part: Part) -> dict[str, Any]:
    text = _text(part)
    body = (
        {"base64": base64.b64encode(part.payload.body).decode()} if text is None else {"text": text}
    )
    return {
        "what": part.what,
        "delivery": part.delivery or None,
        "route": part.route,
        "target": part.target,
        "channel": part.channel,
        "state": part.state,
        "at": part.at,
        "content_type": part.payload.content_type,
        "charset": part.payload.charset,
        **body,
    }


def _text(part: Part) -> str | None:
    """None for what is no text."""
    try:
        return part.payload.body.decode(part.payload.charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return None
