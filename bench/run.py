"""``make bench``: every figure that the project promises, measured in one run.

``python -m bench.run accept e2e`` runs some sections only; ``--write`` also writes them to
``docs/performance-figures.md`` and ``.json``.  The exit status is 1 when a goal was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from bench.project import REPOSITORY
from bench.report import Figure, Section, machine, show, write
from bench.sections import SECTIONS, measure
from engine.demo.child import EngineEnded

_SECONDS = 1800.0  # no section takes longer


async def run(names: list[str], folder: Path, console: Console) -> list[Section]:
    """The sections, shown as they come; one that fails is shown as missed and does not stop the
    others."""
    found: list[Section] = []
    for name in names:
        console.print(f"[dim]{name} …[/]")
        try:
            section = await measure(name, folder, _SECONDS)
        except (RuntimeError, OSError, EngineEnded) as error:  # TimeoutError is an OSError
            why = f"{type(error).__name__}: {error}"
            section = Section(name, name, (Figure("measured", "failed", "", False),), why)
        show([section], console)
        found.append(section)
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bench.run", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--write", action="store_true", help="write docs/performance-figures.*")
    parser.add_argument(
        "--dir",
        type=Path,
        default=REPOSITORY / "var" / "bench",
        help="where the stores are made: the disk that is measured",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]}: known are {', '.join(SECTIONS)}")
    console = Console()
    console.print(f"Carebus benchmark: {machine()}")
    options.dir.mkdir(parents=True, exist_ok=True)
    sections = asyncio.run(run(options.sections or list(SECTIONS), options.dir, console))
    if options.write:
        write(sections, REPOSITORY / "docs")
    missed = [figure for section in sections for figure in section.figures if figure.met is False]
    console.print(f"{len(missed)} goals missed" if missed else "every goal met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
