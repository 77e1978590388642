"""What commands print: tables on a terminal, tab-separated lines in a pipe, JSON when asked."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TextIO

import orjson


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


def terminal() -> bool:
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Indented on a terminal, one line in a pipe."""
    option = orjson.OPT_INDENT_2 if terminal() else 0
    sys.stdout.write(orjson.dumps(value, option=option).decode() + "\n")


def print_rows(rows: Iterable[Sequence[str]]) -> None:
    """Tab-separated; a tab or line end inside a cell becomes a space."""
    for row in rows:
        sys.stdout.write("\t".join(" ".join(cell.split()) for cell in row) + "\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table in the terminal's width, its last column folded, or `print_rows` with the headings
    first."""
    if not terminal():
        print_rows([[heading.replace(" ", "_") for heading in headings], *rows])
        return
    print_table_to(sys.stdout, headings, rows)


def print_table_to(stream: TextIO, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The table itself, wherever it goes."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from engine.cli.words import word

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for heading in headings:
        # Only the last column gives way: an id in two pieces cannot be copied.
        table.add_column(word(heading), overflow="fold", no_wrap=heading != headings[-1])
    for row in rows:
        table.add_row(*map(Text, row))
    Console(file=stream).print(table)


def local_time(text: str) -> str:
    """An ISO time of the endpoint in the reader's zone, to the millisecond."""
    time = datetime.fromisoformat(text).astimezone()
    return time.strftime("%Y-%m-%d %H:%M:%S.") + f"{time.microsecond // 1000:03d}"


def brief_time(text: str) -> str:
    """The same for a crowded table: to the second and without the year on a terminal."""
    if not terminal():
        return local_time(text)
    return datetime.fromisoformat(text).astimezone().strftime("%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Without control characters, with which a message could play tricks on a terminal."""
    return "".join(
        character if character in "\n\t" or character.isprintable() else "\ufffd"
        for character in text
    )
