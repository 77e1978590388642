"""``carebus run --processes N``: what the engine processes of a node have in common.

The supervisor's process reserves the control endpoint's address and makes its token; every engine
process listens there, and any of them answers for all.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from typing import Final

import typer

from engine.api.access import Access, announced, new_token
from engine.api.server import bind
from engine.cli.leash import Leash
from engine.cli.process import url_of
from engine.cli.run import listeners
from engine.cli.signals import signals_for
from engine.cli.supervisor import Supervisor
from engine.config.model import Configuration
from engine.settings import Listen, Settings

_ENGINE: Final = (sys.executable, "-m", "engine.cli", "run")


def supervise(
    settings: Settings, configuration: Configuration, role: str, processes: int, *, watch: bool
) -> int:
    """Run until told to stop; the exit code.  Raises ConfigError when the control endpoint's
    address is taken, OSError when the data folder cannot be written."""
    with ExitStack() as stack:
        bind(settings.api_listen, shared=False).close()  # nobody else's, of whatever kind
        reserved = stack.enter_context(bind(settings.api_listen, shared=True))
        host, port = reserved.getsockname()[:2]
        listen = Listen(host, port)
        token = new_token()
        stack.enter_context(announced(settings.data, Access(url_of(listen), token)))

        def command(number: int, folder: int, leash: Leash) -> list[str]:
            data = settings.data / (f"process-{number}" if not folder else f"process-{number}b")
            words = [*_ENGINE, "--config", str(settings.config), "--data", str(data)]
            words += ["--role", role, "--leash", str(leash)]
            if watch:
                words.append("--watch")
            return words

        def started() -> None:
            if not sys.stdout.isatty():
                return
            typer.echo(f"carebus runs in {processes} processes; control endpoint http://{listen}")
            for line in listeners(configuration):
                typer.echo(f"  {line}")
            typer.echo("Ctrl-C drains and stops; kill -USR1 exchanges the processes one by one")

        async def main() -> int:
            environ = {**os.environ, "CAREBUS_API_LISTEN": str(listen)}
            supervisor = Supervisor(command, processes, token=token, environ=environ)
            with signals_for(supervisor):
                return await supervisor.run(started)

        return asyncio.run(main())
