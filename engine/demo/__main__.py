"""``python -m engine.demo``: the simulated hospital, for a newcomer and for ``make demo``.

Ends with exit code 0 when everything acknowledged was delivered, 1 when something was not, 2 when
it could not start.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.demo.child import EngineEnded, free_ports, taken_port
from engine.demo.hospital import Hospital, Plan, Summary
from engine.demo.project import SHIPPED_PORTS, NoProject, Ports, copy_project, find_project
from engine.demo.screen import LiveView, PlainView, summary_lines
from engine.units import parse_duration


def demo(
    lasting: Annotated[
        str | None, typer.Option("--for", help="How long: 30s, 5m. Default: until Ctrl-C.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.1, max=2000, help="Messages a second, HIS and LIS together.")
    ] = 20.0,
    config: Annotated[Path, typer.Option(help="The project to run.")] = Path("."),
    data: Annotated[Path, typer.Option(help="Where messages are kept.")] = Path("var/demo"),
    corpora: Annotated[
        Path, typer.Option(help="HL7 messages to send; without it, the shipped samples.")
    ] = Path("../shared/corpora"),
    any_ports: Annotated[
        bool, typer.Option("--any-ports", help="Use free ports instead of the shipped ones.")
    ] = False,
    kill: Annotated[
        bool, typer.Option(help="With --for: kill the engine once, at half time.")
    ] = True,
) -> None:
    """Run the real engine between simulated hospital systems, and watch it be killed."""
    try:
        seconds = parse_duration(lasting).total_seconds() if lasting is not None else None
        with tempfile.TemporaryDirectory(prefix="carebus-demo-") as folder:
            project, ports = _project(find_project(config), any_ports, Path(folder))
            plan = Plan(project, data, ports, corpora, rate, seconds, kill)
            summary = asyncio.run(_run(plan, Console()))
    except* (NoProject, EngineEnded, OSError, ValueError) as errors:
        typer.echo(f"the demo cannot run: {_first(errors)}", err=True)
        sys.exit(2)
    for line in summary_lines(summary):
        typer.echo(line)
    raise typer.Exit(1 if summary.lost else 0)


def _project(shipped: Path, any_ports: bool, folder: Path) -> tuple[Path, Ports]:
    if not any_ports:
        taken = taken_port(astuple(SHIPPED_PORTS))
        if taken is not None:
            raise NoProject(f"port {taken} is taken: stop what listens there, or add --any-ports")
        return shipped, SHIPPED_PORTS
    his, lis, ward, emr = free_ports(4)
    ports = Ports(his=his, lis=lis, ward=ward, emr=emr, control=0)
    return copy_project(shipped, folder / "project", ports), ports


def _first(error: BaseException) -> BaseException:
    """The first leaf of an exception group."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _run(plan: Plan, console: Console) -> Summary:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with LiveView(console) if console.is_terminal else PlainView(sys.stdout) as view:
        return await Hospital(plan, view).run(stop)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(demo)
    app(prog_name="python -m engine.demo")
