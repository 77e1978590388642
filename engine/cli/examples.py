"""``carebus test``: the examples beside the mappings, and those of the routes."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.exits import Exit
from engine.cli.output import Form, print_json
from engine.cli.project import PROJECT, Project

if TYPE_CHECKING:
    from engine.cli.mapping_tests import Outcome, Tested
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
        float, typer.Option(min=0, max=100, help="Percent of all rules that must have written.")
    ] = 0.0,
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Show the rules that no case saw write, by file.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also what passed.")] = False,
    form: Annotated[Form, typer.Option("--format", help="table or json.")] = Form.TABLE,
) -> None:
    """Run every example of the project: mappings/**/*.test.yaml and routes.test.yaml.

    Exit code 1 when one fails, or less than --min-coverage of all rules wrote anything: those of
    all mappings and libraries together, each counted once.
    """
    gc.disable()  # compiled mappings live to the end
    try:
        failed = _run(
            config, only, form, update=update, least=min_coverage, rules=uncovered, verbose=verbose
        )
    finally:
        gc.enable()
    if failed:
        raise typer.Exit(Exit.FAILED)


def _run(
    root: Path, only: str, form: Form, *, update: bool, least: float, rules: bool, verbose: bool
) -> int:
    """How many cases failed; too little coverage, and a mapping without cases where coverage is
    asked for, count as one."""
    from engine.cli.mapping_tests import run_all
    from engine.cli.project import configuration_of, show_diagnostics

    configuration = configuration_of(root)
    outcome = run_all(configuration, update=update)
    show_diagnostics(outcome.diagnostics, outcome.sources, sys.stderr)
    failed = _failed(outcome, only)
    untested = [] if only else sorted(configuration.mappings.keys() - outcome.tested.keys())
    failed += len(untested) * (least > 0)
    low = not only and outcome.percent < least
    failed += low
    if form is Form.JSON:
        print_json(as_json(outcome))
        return failed
    _show(outcome, only, verbose=verbose)
    failed += _routes(configuration, root, only, verbose=verbose)
    for name in untested:
        typer.echo(f"{name}: no examples")
    if not only:
        _show_coverage(outcome, rules=low or rules)
    return failed


def _failed(outcome: Outcome, only: str) -> int:
    from engine.syntax import Severity

    failed = sum(one.severity is Severity.ERROR for one in outcome.diagnostics)
    for name, tested in outcome.tested.items():
        failed += sum(not case.passed for case in tested.cases if only in f"{name}: {case.name}")
    return failed


def _show(outcome: Outcome, only: str, *, verbose: bool) -> None:
    for name, tested in outcome.tested.items():
        chosen = [case for case in tested.cases if only in f"{name}: {case.name}"]
        for case in chosen:
            report(f"{name}: {case.name}", "\n".join(case.problems), verbose=verbose)
            if case.updated:
                typer.echo(f"updated {name}: {case.name}")
        if chosen:
            passed = sum(case.passed for case in chosen)
            typer.echo(f"{name}: {passed} of {len(chosen)} passed{_ran(tested)}")


def _ran(tested: Tested) -> str:
    """How much of a mapping its own cases ran; a library's maps are told of by file."""
    if tested.is_library:
        return ""
    own, imported = tested.own, tested.imported
    text = f", {tested.ran(own):.0f} % of its {len(own)} rules ran"
    if imported:
        text += f", {tested.ran(imported):.0f} % of {len(imported)} imported ones"
    return text


def _show_coverage(outcome: Outcome, *, rules: bool) -> None:
    for file in outcome.files if rules else ():
        if file.uncovered or file.uncalled:
            typer.echo(f"{file.file}: {file.covered} of {len(file.rules)} rules ran")
        if file.uncalled:
            typer.echo(f"  no mapping calls: {', '.join(file.uncalled)}")
        for rule in file.uncovered:
            typer.echo(f"  never ran: {rule.position} {rule.path}")
    typer.echo(
        f"all mappings together: {outcome.covered} of {outcome.rules} rules ran, "
        f"{outcome.percent:.1f} %"
    )


def as_json(outcome: Outcome) -> dict[str, Any]:
    """For programs: the cases of each mapping and library, and the rules of each file."""
    return {
        "tested": [
            {
                "name": name,
                "library": tested.is_library,
                "cases": [
                    {"name": case.name, "passed": case.passed, "problems": case.problems}
                    for case in tested.cases
                ],
            }
            for name, tested in outcome.tested.items()
        ],
        "files": [
            {
                "file": file.file,
                "rules": len(file.rules),
                "covered": file.covered,
                "uncovered": [
                    {
                        "line": rule.position.line,
                        "column": rule.position.column,
                        "rule": rule.path,
                    }
                    for rule in file.uncovered
                ],
                "uncalled": file.uncalled,
            }
            for file in outcome.files
        ],
        "rules": outcome.rules,
        "covered": outcome.covered,
        "percent": round(outcome.percent, 2),
    }


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
