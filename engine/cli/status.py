"""``carebus status``: every channel, what went through, what waits, what is wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.control import DATA, Data, NoAnswer, control
from engine.cli.exits import Exit
from engine.cli.output import Form, print_rows, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from engine.flow.status import EngineStatus


def status(
    data: Data = DATA,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep showing it, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")
    ] = 1.0,
    form: Annotated[Form, typer.Option("--format", help="table or json.")] = Form.TABLE,
) -> None:
    """Show the state of every channel of the running engine.

    Exit code 0 when the engine is ready, 1 when it is not, 3 when it does not answer.
    """
    if watch:
        _watch(data, every, form)
        return
    with control(data) as engine:
        found = engine.status()
    _show(found, form)
    if not found.ready:
        raise typer.Exit(Exit.FAILED)


def _show(found: EngineStatus, form: Form) -> None:
    from engine.api.wire import status_to_json
    from engine.cli.status_table import plain_rows, process_lines, refusal_of, render_status

    if form is Form.JSON:
        sys.stdout.write(status_to_json(found).decode() + "\n")
        sys.stdout.flush()
    elif terminal():
        from rich.console import Console

        Console().print(render_status(found))
    else:
        print_rows(plain_rows(found))
        for line in process_lines(found):
            typer.echo(line, err=True)
        if found.refusing is not None:  # beside the rows, which a program reads
            typer.echo(refusal_of(found.refusing), err=True)


def _watch(data: Path, every: float, form: Form) -> None:
    import time

    from rich.live import Live
    from rich.text import Text

    from engine.cli.status_table import render_status

    try:
        if form is Form.JSON or not terminal():
            while True:
                with control(data) as engine:
                    _show(engine.status(), form)
                time.sleep(every)
        with Live(auto_refresh=False) as live:
            while True:
                try:
                    with control(data) as engine:
                        live.update(render_status(engine.status()), refresh=True)
                except NoAnswer as error:  # it may be starting again
                    live.update(Text(str(error), style="red"), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return
