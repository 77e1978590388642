"""``carebus stop`` and ``carebus start``: one channel, while the others run."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.control import DATA, Data, control

Names = Annotated[list[str], typer.Argument(help="Names of channels.", metavar="CHANNEL...")]


def stop(
    channels: Names,
    data: Data = DATA,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at carebus status.")] = "",
) -> None:
    """Stop channels until somebody starts them; the others run on.

    They stay stopped in every process of the engine, also after a restart.  What waits for a
    stopped channel waits on; a stopped inbound channel does not listen.
    """
    with control(data) as engine:
        for name in channels:
            engine.switch(name, "stop", reason)
            typer.echo(f"channel {name} stopped")


def start(channels: Names, data: Data = DATA) -> None:
    """Start channels that were stopped."""
    with control(data) as engine:
        for name in channels:
            engine.switch(name, "start")
            typer.echo(f"channel {name} started")
