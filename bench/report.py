"""What a run of the benchmarks found: a table for a person, JSON and Markdown for the record."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.  ``goal`` says what was aimed at, ``met`` whether it was reached; None
    where nothing was promised."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One measurement with its figures; ``text`` is what a benchmark of its own printed."""

    name: str
    title: str
    figures: tuple[Figure, ...] = ()
    text: str = ""


def at_least(name: str, value: float, goal: float, unit: str) -> Figure:
    return Figure(name, f"{value:,.0f} {unit}", f"≥ {goal:,g}", value >= goal)


def at_most(name: str, value: float, goal: float, unit: str) -> Figure:
    return Figure(name, f"{value:,.{1 if goal > 2 else 2}f} {unit}", f"≤ {goal:,g}", value <= goal)


def plain(name: str, value: float | str, unit: str = "") -> Figure:
    text = value if isinstance(value, str) else f"{value:,.{1 if value >= 1 else 2}f}"
    return Figure(name, f"{text} {unit}".strip())


def machine() -> str:
    """What the figures were measured on, without the machine's name."""
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}"
    )


def show(sections: Sequence[Section], console: Console) -> None:
    for section in sections:
        if section.figures:
            table = Table(title=section.title, title_justify="left", min_width=78)
            table.add_column("figure", ratio=3)
            table.add_column("measured", justify="right", ratio=2)
            table.add_column("goal", justify="right")
            table.add_column("")
            for figure in section.figures:
                mark = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}[figure.met]
                table.add_row(figure.name, figure.value, figure.goal, mark)
            console.print(table)
        if section.text:
            console.print(section.title, style="bold")
            console.print(section.text, markup=False, highlight=False)


def write(sections: Sequence[Section], folder: Path) -> None:
    """``performance-figures.md`` and ``.json`` in ``folder``."""
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        "# Performance figures",
        "",
        f"Written by `make bench` in one run: {at}, {machine()}. Load, sink and engine shared the "
        "machine; every accepted message was durable (SQLite WAL, synchronous FULL) before its "
        "acknowledgement.",
    ]
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        if section.figures:
            lines += ["| figure | measured | goal | |", "|---|---:|---:|---|"]
            for figure in section.figures:
                mark = {True: "ok", False: "**missed**", None: ""}[figure.met]
                lines.append(f"| {figure.name} | {figure.value} | {figure.goal} | {mark} |")
        if section.text:
            lines += ["```text", section.text.rstrip(), "```"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "performance-figures.md").write_text("\n".join(lines) + "\n", "utf-8")
    found = {"at": at, "machine": machine(), "sections": [asdict(section) for section in sections]}
    (folder / "performance-figures.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
