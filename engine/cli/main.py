"""The ``carebus`` command: its subcommands in the order a newcomer needs them.

Command modules import what they need when they run, so that ``carebus --help`` is quick.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from engine.cli.archive import archive
from engine.cli.backup import backup
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
from engine.cli.restore import restore
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
_STORE: Final = "What is stored"
_PROJECT: Final = "The project"

_EXAMPLES: Final = {
    "run": "carebus run --config hospital --data var --watch",
    "status": "carebus status --watch",
    "messages": "carebus messages --patient 4711 --since 2h",
    "replay": "carebus replay --state dead --channel his-fhir --dry-run",
    "cancel": "carebus cancel 1042 1043",
    "stop": "carebus stop his-fhir",
    "start": "carebus start his-fhir",
    "reload": "carebus reload",
    "backup": "carebus backup /backup/carebus --data /var/lib/carebus --keep 4",
    "restore": "carebus restore /backup/carebus --data /var/lib/carebus",
    "archive": "carebus archive show 01a20388-b0c5-7000-9683-addc8bf9efb3 /archive/carebus",
    "send": "carebus send adt.hl7 --to mllp://localhost:2575 --count 100 --new-ids",
    "lint": "carebus lint --notes mappings/admission.yaml",
    "test": "carebus test -k admission --min-coverage 90",
    "map": "carebus map admission adt.hl7 --explain",
    "convert": "carebus convert --to fhir --out bundles messages/*.hl7",
    "validate": "carebus validate --with complete adt.hl7 bundle.json",
    "route": "carebus route adt.hl7 --from his-adt",
    "rehearse": "carebus rehearse --since 24h --channel his-adt",
    "check": "carebus check his-fhir",
    "list": "carebus list --format json",
    "create": "carebus create mllp:his-adt --write",
    "describe": "carebus describe M723",
    "schema": "carebus schema channel",
}


def _example(name: str) -> str:
    return f"Example: {_EXAMPLES[name]}"


app.command("run", rich_help_panel=_RUNNING, epilog=_example("run"))(run)
app.command("status", rich_help_panel=_RUNNING, epilog=_example("status"))(status)
app.add_typer(messages, name="messages", rich_help_panel=_RUNNING, epilog=_example("messages"))
app.command("replay", rich_help_panel=_RUNNING, epilog=_example("replay"))(replay)
app.command("cancel", rich_help_panel=_RUNNING, epilog=_example("cancel"))(cancel)
app.command("stop", rich_help_panel=_RUNNING, epilog=_example("stop"))(stop)
app.command("start", rich_help_panel=_RUNNING, epilog=_example("start"))(start)
app.command("reload", rich_help_panel=_RUNNING, epilog=_example("reload"))(reload)
app.command("send", rich_help_panel=_RUNNING, epilog=_example("send"))(send)
app.command("backup", rich_help_panel=_STORE, epilog=_example("backup"))(backup)
app.command("restore", rich_help_panel=_STORE, epilog=_example("restore"))(restore)
app.add_typer(archive, name="archive", rich_help_panel=_STORE, epilog=_example("archive"))
app.command("lint", rich_help_panel=_PROJECT, epilog=_example("lint"))(lint)
app.command("test", rich_help_panel=_PROJECT, epilog=_example("test"))(run_examples)
app.command("map", rich_help_panel=_PROJECT, epilog=_example("map"))(map_)
app.command("convert", rich_help_panel=_PROJECT, epilog=_example("convert"))(convert)
app.command("validate", rich_help_panel=_PROJECT, epilog=_example("validate"))(validate)
app.command("route", rich_help_panel=_PROJECT, epilog=_example("route"))(route)
app.command("rehearse", rich_help_panel=_PROJECT, epilog=_example("rehearse"))(rehearse)
app.command("check", rich_help_panel=_PROJECT, epilog=_example("check"))(check)
app.command("list", rich_help_panel=_PROJECT, epilog=_example("list"))(list_)
app.command("create", rich_help_panel=_PROJECT, epilog=_example("create"))(create)
app.command("describe", rich_help_panel=_PROJECT, epilog=_example("describe"))(describe)
app.command("schema", rich_help_panel=_PROJECT, epilog=_example("schema"))(schema)


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
