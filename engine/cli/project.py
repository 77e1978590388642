"""The project on disk, as commands read it: its environment, connectors, configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from engine.cli.exits import Exit
from engine.settings import read_environment

if TYPE_CHECKING:
    from engine.config.model import Configuration, Loaded
    from engine.syntax.diagnostics import Diagnostic

Project = Annotated[
    Path,
    typer.Option(
        "--config", help="The project: routes.yaml, channels/, mappings/.", file_okay=False
    ),
]
PROJECT = Path()


def load_project(root: Path, *, notes: bool = False) -> Loaded:
    """The whole project, checked, with what is wrong with the installed connectors first.

    Raises ConfigError only for an unreadable ``.env``.
    """
    from dataclasses import replace

    from engine.config.connectors import find_connectors
    from engine.config.load import load

    connectors, found = find_connectors()
    environ = read_environment(root, os.environ)
    loaded = load(root, connectors=connectors, environ=environ, notes=notes)
    return replace(loaded, diagnostics=(*found, *loaded.diagnostics))


def configuration_of(root: Path) -> Configuration:
    """The checked configuration; prints what is wrong and ends the command when there is none."""
    loaded = load_project(root)
    if loaded.configuration is None:
        show_diagnostics(_errors(loaded.diagnostics), loaded.sources, sys.stderr)
        typer.echo("carebus lint shows everything", err=True)
        raise typer.Exit(Exit.FAILED)
    return loaded.configuration


def show_diagnostics(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], stream: TextIO
) -> None:
    """As a good compiler shows them: the line, what is wrong underlined, what to do."""
    from engine.syntax.render import render

    for found in diagnostics:
        text = sources.get(found.position.file, "")
        print(render(found, text, color=stream.isatty()), file=stream, end="\n\n")


def _errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    from engine.syntax.code import Severity

    return [found for found in diagnostics if found.severity is Severity.ERROR]
