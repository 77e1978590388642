"""``carebus reload``: the running engine reads its project again."""

from __future__ import annotations

import typer

from engine.cli.control import DATA, Data, Refused, control
from engine.contract import ErrorInfo, Stage


def reload(data: Data = DATA) -> None:
    """Take the project as it is on disk now, all of it or nothing.

    Exit code 4 when something in it is wrong; then the old configuration runs on.
    """
    from engine.api.client import Refusal

    with control(data) as engine:
        try:
            done = engine.reload()
        except Refusal as refusal:
            for found in refusal.body.get("diagnostics", ()):
                typer.echo(
                    f"{found['location']}: {found['severity']}[{found['code']}]: "
                    f"{found['message']}",
                    err=True,
                )
            raise Refused(
                ErrorInfo(refusal.code, refusal.title, Stage.STARTING, help=refusal.help)
            ) from refusal
    for warning in done["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"reloaded; configuration {done['version'][:12]} runs")
