"""``carebus run``: the engine, in the foreground, until it is told to stop."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.config.model import Configuration
    from engine.settings import Listen, Settings


class Role(StrEnum):
    """As `engine.flow.engine.EngineRole`, for the command line."""

    ALL = "all"
    SOURCES = "sources"
    WORKERS = "workers"


# Another thread commits to the disk; the loop must get its turn back soon after it.
_SWITCH_SECONDS = 0.0001


def run(
    config: Project = PROJECT,
    data: Annotated[Path, typer.Option(help="Where messages are kept; made when missing.")] = Path(
        "var"
    ),
    watch: Annotated[
        bool, typer.Option("--watch", help="Reload when a file of the project changes.")
    ] = False,
    role: Annotated[
        Role, typer.Option(help="Which channels run here: inbound (sources), outbound (workers).")
    ] = Role.ALL,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Engine processes on this node, kept running.")
    ] = 1,
    leash: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the engine on a project.

    SIGTERM and Ctrl-C drain and exit 0, a second one stops at once; SIGHUP reloads the project.
    With --processes, SIGUSR1 exchanges the processes one by one.  Several processes, or a role,
    need RabbitMQ and PostgreSQL.  Settings are read from CAREBUS_* variables and .env; see
    docs/cli.md.
    """
    import asyncio
    import os
    import sys
    from functools import partial

    import uvloop

    from engine.cli.leash import Leash
    from engine.cli.process import EngineProcess
    from engine.cli.project import configuration_of, load_project
    from engine.cli.signals import signals_for
    from engine.observe.logs import capture_uncaught, configure
    from engine.settings import read_environment, read_settings

    settings = read_settings(config, data, read_environment(config, os.environ))
    configure(settings.log)
    capture_uncaught()
    _check_shared(settings, role, processes)
    configuration = configuration_of(config)
    _make(data)
    if processes > 1:
        from engine.cli.processes import supervise

        raise typer.Exit(supervise(settings, configuration, role.value, processes, watch=watch))
    sys.setswitchinterval(_SWITCH_SECONDS)

    async def main() -> None:
        greet = partial(_greet, settings=settings, configuration=configuration)
        process = EngineProcess(
            settings,
            configuration,
            lambda: load_project(config),
            role=role.value,
            leash=None if leash is None else Leash.parse(leash),
        )
        with signals_for(process):
            await process.run(watching=watch, started=greet)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def _check_shared(settings: Settings, role: Role, processes: int) -> None:
    """Only a broker and a store of their own can be shared by processes.  Raises ConfigError."""
    from engine.contract import ConfigError, ErrorInfo, Stage

    shared = settings.broker_url.startswith("amqp") and settings.store_url.startswith("postgresql")
    if shared or (role is Role.ALL and processes == 1):
        return
    raise ConfigError(
        ErrorInfo(
            "P025",
            "several processes need a broker and a store that they share",
            Stage.STARTING,
            location="--processes" if processes > 1 else "--role",
            help="set CAREBUS_BROKER_URL=amqp://… and CAREBUS_STORE_URL=postgresql://…",
        )
    )


def _make(data: Path) -> None:
    from engine.contract import ConfigError, ErrorInfo, Stage

    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            ErrorInfo(
                "P021",
                f"the data directory cannot be made: {(error.strerror or 'error').lower()}",
                Stage.STARTING,
                location=str(data),
                help="name one that you may write to with --data",
            )
        ) from error


def _greet(bound: Listen, settings: Settings, configuration: Configuration) -> None:
    """For the person at a terminal; a supervisor reads the log."""
    import sys

    if not sys.stdout.isatty():
        return
    typer.echo(f"carebus runs; control endpoint http://{bound}")
    for line in listeners(configuration):
        typer.echo(f"  {line}")
    typer.echo(f"watch it: carebus status --watch --data {settings.data}; Ctrl-C drains and stops")


def listeners(configuration: Configuration) -> list[str]:
    """Where each inbound channel takes messages: an address, or a directory."""
    lines = []
    for channel in configuration.channels.values():
        if channel.direction == "inbound":
            host, port = (getattr(channel.settings, name, None) for name in ("host", "port"))
            where = getattr(channel.settings, "directory", "") if port is None else f"{host}:{port}"
            lines.append(f"{channel.name}: {channel.spec.name} {where}".rstrip())
    return lines
