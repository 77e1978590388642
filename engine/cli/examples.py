"""``carebus test``: the examples beside the mappings, and those of the routes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exits import Exit
from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.config.model import Configuration


def run_examples(
    config: Project = PROJECT,
    only: Annotated[
        str, typer.Option("-k", help="Only cases whose 'mapping: name' holds this text.")
    ] = "",
    update: Annotated[
        bool, typer.Option("--update", help="Write what came out as what is expected; review it!")
    ] = False,
    min_coverage: Annotated[
        float, typer.Option(min=0, max=100, help="Percent of the mappings' rules that must run.")
    ] = 0.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also what passed.")] = False,
) -> None:
    """Run every example of the project: mappings/*.test.yaml and routes.test.yaml.

    Exit code 1 when one fails, or less than --min-coverage of the rules ran.
    """
    from engine.cli.project import configuration_of

    configuration = configuration_of(config)
    failed = _mappings(
        configuration, only, update=update, min_coverage=min_coverage, verbose=verbose
    )
    failed += _routes(configuration, config, only, verbose=verbose)
    if failed:
        raise typer.Exit(Exit.FAILED)


def _mappings(
    configuration: Configuration, only: str, *, update: bool, min_coverage: float, verbose: bool
) -> int:
    """How many cases of mappings failed, counting a mapping that is not covered as one."""
    from engine.cli.mapping_tests import run_all
    from engine.cli.project import show_diagnostics
    from engine.syntax import Severity

    outcome = run_all(configuration, update=update)
    show_diagnostics(outcome.diagnostics, outcome.sources, sys.stderr)
    failed = sum(one.severity is Severity.ERROR for one in outcome.diagnostics)
    for name, tested in outcome.tested.items():
        chosen = [case for case in tested.cases if only in f"{name}: {case.name}"]
        for case in chosen:
            report(f"{name}: {case.name}", "\n".join(case.problems), verbose=verbose)
            if case.updated:
                typer.echo(f"updated {name}: {case.name}")
        wrong = sum(not case.passed for case in chosen)
        failed += wrong
        if chosen:
            typer.echo(
                f"{name}: {len(chosen) - wrong} of {len(chosen)} passed, "
                f"{tested.coverage:.0f} % of {len(tested.mapping.own_rules)} rules ran"
            )
        if only:
            continue
        low = tested.coverage < min_coverage
        failed += low
        for rule in tested.never_ran if low or verbose else ():
            typer.echo(f"  never ran: {rule.position} {rule.path}")
    untested = sorted(configuration.mappings.keys() - outcome.tested.keys())
    for name in untested if not only else ():
        typer.echo(f"{name}: no examples")
        failed += min_coverage > 0
    return failed


def _routes(configuration: Configuration, root: Path, only: str, *, verbose: bool) -> int:
    """How many cases of the routes failed."""
    from engine.cli.project import show_diagnostics
    from engine.cli.route_tests import FILE, read_cases, run_case
    from engine.syntax import Diagnostics

    diagnostics = Diagnostics()
    cases, text = read_cases(root, diagnostics)
    show_diagnostics(diagnostics.items, {FILE: text}, sys.stderr)
    failed, routes = int(diagnostics.has_errors), set[str]()
    chosen = [case for case in cases if only in f"routes: {case.name}"]
    for case in chosen:
        result = run_case(configuration, case)
        routes |= set(result.routes)
        report(f"routes: {case.name}", result.problem, verbose=verbose)
        failed += bool(result.problem)
    if chosen:
        unused = [route.name for route in configuration.routes if route.name not in routes]
        missing = f"; no case for {', '.join(unused)}" if unused and not only else ""
        typer.echo(f"routes: {len(chosen) - failed} of {len(chosen)} passed{missing}")
    return failed


def report(name: str, problem: str, *, verbose: bool) -> None:
    if problem:
        typer.echo(f"FAILED {name}")
        for line in problem.splitlines():
            typer.echo(f"  {line}")
    elif verbose:
        typer.echo(f"passed {name}")
