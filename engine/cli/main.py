"""The ``carebus`` command: its subcommands in the order a newcomer needs them.

Command modules import what they need when they run, so that ``carebus --help`` is quick.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from engine.cli.catalogue import list_
from engine.cli.check import check
from engine.cli.convert import convert
from engine.cli.create import create
from engine.cli.describe import describe
from engine.cli.examples import run_examples
from engine.cli.failures import Reporting
from engine.cli.lint import lint
from engine.cli.map import map_
from engine.cli.messages import messages
from engine.cli.rehearse import rehearse
from engine.cli.reload import reload
from engine.cli.replay import cancel, replay
from engine.cli.route import route
from engine.cli.run import run
from engine.cli.schema import schema
from engine.cli.send import send
from engine.cli.status import status
from engine.cli.switch import start, stop
from engine.cli.validate import validate

_HELP: Final = (
    "Carebus: a hospital integration engine, configured in YAML.\n\n"
    "Exit codes: 0 ok · 1 findings, or something failed · 2 wrong command line · "
    "3 no engine answers · 4 the engine refused · 5 the engine could not start."
)

app: Final = typer.Typer(
    cls=Reporting,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    # A traceback with local variables would print what is in a message.
    pretty_exceptions_enable=False,
)

_RUNNING: Final = "The running engine"
_PROJECT: Final = "The project"

app.command("run", rich_help_panel=_RUNNING)(run)
app.command("status", rich_help_panel=_RUNNING)(status)
app.add_typer(messages, name="messages", rich_help_panel=_RUNNING)
app.command("replay", rich_help_panel=_RUNNING)(replay)
app.command("cancel", rich_help_panel=_RUNNING)(cancel)
app.command("stop", rich_help_panel=_RUNNING)(stop)
app.command("start", rich_help_panel=_RUNNING)(start)
app.command("reload", rich_help_panel=_RUNNING)(reload)
app.command("send", rich_help_panel=_RUNNING)(send)
app.command("lint", rich_help_panel=_PROJECT)(lint)
app.command("test", rich_help_panel=_PROJECT)(run_examples)
app.command("map", rich_help_panel=_PROJECT)(map_)
app.command("convert", rich_help_panel=_PROJECT)(convert)
app.command("validate", rich_help_panel=_PROJECT)(validate)
app.command("route", rich_help_panel=_PROJECT)(route)
app.command("rehearse", rich_help_panel=_PROJECT)(rehearse)
app.command("check", rich_help_panel=_PROJECT)(check)
app.command("list", rich_help_panel=_PROJECT)(list_)
app.command("create", rich_help_panel=_PROJECT)(create)
app.command("describe", rich_help_panel=_PROJECT)(describe)
app.command("schema", rich_help_panel=_PROJECT)(schema)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"carebus {version('carebus')}")
        raise typer.Exit


@app.callback()
def _carebus(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """Options before the command's name."""


def main() -> None:
    """The entry point."""
    app(prog_name="carebus")
