"""The running engine, as commands reach it: which one, who asks, and how it says no."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.exits import Exit
from engine.contract import EngineError, ErrorInfo, Stage

if TYPE_CHECKING:
    from engine.api.client import ControlClient

Data = Annotated[
    Path, typer.Option(help="The data directory of the engine to talk to.", show_default=True)
]
DATA = Path("var")


class NoAnswer(EngineError):
    exit_code = Exit.UNREACHABLE


class Refused(EngineError):
    exit_code = Exit.REFUSED


@contextmanager
def control(data: Path) -> Iterator[ControlClient]:
    """A client for the engine on ``data``, acting as the user of this terminal.

    Raises NoAnswer and Refused, which end the command with their exit codes.
    """
    from engine.api.client import ControlClient, Refusal, Unreachable

    try:
        yield ControlClient(data, actor=actor())
    except Unreachable as error:
        raise NoAnswer(error.info) from error
    except Refusal as error:
        raise Refused(
            ErrorInfo(
                error.code,
                error.title,
                Stage.STARTING,
                location=error.body.get("location"),
                help=error.help,
            )
        ) from error


def actor() -> str:
    """The operating system's name of the user; his number where he has no name."""
    import os

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def moment(text: str | None) -> str:
    """A time option as the endpoint reads it: ``24h`` is that long ago, a time without a zone is
    the terminal's.  Raises typer.BadParameter."""
    from engine.units import parse_duration

    if not text:
        return ""
    try:
        return (datetime.now(UTC) - parse_duration(text)).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except ValueError:
        raise typer.BadParameter(
            "write a time such as 2026-01-31T08:00, or how long ago: 30m, 24h, 7d"
        ) from None


def search_of(**given: Any) -> dict[str, str]:
    """The options that were given, as the endpoint's parameters."""
    return {name: str(value) for name, value in given.items() if value not in (None, "")}
