"""``carebus lint``: everything that is wrong with a project, before it runs."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exits import Exit

if TYPE_CHECKING:
    from engine.syntax import Diagnostic

_MARKS = ("routes.yaml", "channels", "mappings")


class Report(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Projects, files of a project, Markdown files; default: here."),
    ] = None,
    form: Annotated[Report, typer.Option("--format", help="text, json or sarif.")] = Report.TEXT,
    notes: Annotated[
        bool, typer.Option("--notes", help="Show what is only worth a look, too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 for a warning, too.")] = False,
) -> None:
    """Check projects as a whole: YAML, channels, routes, mappings, and how they fit together.

    A file of a project is checked with its whole project, and only its own findings are shown.
    YAML blocks in Markdown are checked as the files they name in their first line.
    Exit code 1 when there is an error.
    """
    gc.disable()  # most of what a project is made of would be looked through for nothing
    try:
        _check(paths or [Path()], form, notes, strict)
    finally:
        gc.freeze()
        gc.enable()


def _check(paths: Sequence[Path], form: Report, notes: bool, strict: bool) -> None:
    found: list[Diagnostic] = []
    sources: dict[str, str] = {}
    for path in paths:
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist")
        part, texts = _lint(path, notes)
        found += part
        sources |= texts
    found = list(dict.fromkeys(found))
    _print(found, sources, form)
    worst = {one.severity.value for one in found}
    if "error" in worst or (strict and "warning" in worst):
        raise typer.Exit(Exit.FAILED)


def _lint(path: Path, notes: bool) -> tuple[Sequence[Diagnostic], Mapping[str, str]]:
    from engine.cli.project import load_project

    if path.suffix == ".md":
        from engine.cli.markdown import lint_markdown

        return lint_markdown(path, str(path))
    root = path if path.is_dir() else _root_of(path)
    loaded = load_project(root, notes=notes)
    prefix = _prefix(root)
    diagnostics = [
        one
        for one in loaded.diagnostics
        if path.is_dir() or (root / one.position.file).resolve() == path.resolve()
    ]
    return (
        [
            replace(one, position=replace(one.position, file=prefix + one.position.file))
            for one in diagnostics
        ],
        {prefix + name: text for name, text in loaded.sources.items()},
    )


def _prefix(root: Path) -> str:
    """What leads from here to the project's files."""
    relative = os.path.relpath(root)
    if relative == ".":
        return ""
    return f"{root.resolve() if relative.startswith('..') else relative}/"


def _root_of(file: Path) -> Path:
    """The project a file belongs to: the nearest directory above it that looks like one."""
    for folder in file.resolve().parents:
        if any((folder / mark).exists() for mark in _MARKS):
            return Path(os.path.relpath(folder))
    raise typer.BadParameter(f"{file} is not in a project: no routes.yaml above it")


def _print(found: Sequence[Diagnostic], sources: Mapping[str, str], form: Report) -> None:
    from engine.cli.output import print_json
    from engine.cli.project import show_diagnostics
    from engine.syntax.render import summary
    from engine.syntax.report import to_json, to_sarif

    if form is Report.JSON:
        print_json(to_json(found))
    elif form is Report.SARIF:
        from importlib.metadata import version

        print_json(to_sarif(found, version=version("carebus")))
    else:
        show_diagnostics(found, sources, sys.stdout)
        typer.echo(summary(found))
