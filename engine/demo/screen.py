"""What the newcomer sees: a live table on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from engine.cli.status_table import plain_rows, render_status
from engine.demo.hospital import Hospital, Summary
from engine.flow.status import EngineStatus

_PLAIN_SECONDS = 5.0  # between two looks in a pipe
_NEWS = 4


class LiveView:
    """The table, redrawn in place, with what happened and what to try below it."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._last: EngineStatus | None = None
        self._news: list[str] = []

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._news = [*self._news, f"{time.strftime('%H:%M:%S')}  {text}"][-_NEWS:]

    def show(self, hospital: Hospital, status: EngineStatus | None) -> None:
        self._last = status or self._last
        self._live.update(
            Group(*self._table(status), Text(), *self._below(hospital, status)), refresh=True
        )

    def _table(self, status: EngineStatus | None) -> list[RenderableType]:
        parts: list[RenderableType] = []
        if self._last is not None:
            parts.append(render_status(self._last))
        if status is None:
            parts.append(Text("the engine does not answer: it is starting again", "bold yellow"))
        return parts

    def _below(self, hospital: Hospital, status: EngineStatus | None) -> list[RenderableType]:
        lines: list[RenderableType] = [Text(line) for line in traffic(hospital)]
        lines.append(Text())
        if status is not None and not hospital.engine.ended:
            lines.append(Text("Kill the engine from another terminal while messages flow:"))
            lines.append(Text(f"    kill -9 {hospital.engine.pid}", "bold"))
            lines.append(Text("It is started again at once, and nothing is lost. Ctrl-C ends."))
        lines += [Text(line, "dim") for line in self._news]
        return lines


class PlainView:
    """A few lines every five seconds, and a line for whatever happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, text: str) -> None:
        self._print(f"{time.strftime('%H:%M:%S')}  {text}")

    def show(self, hospital: Hospital, status: EngineStatus | None) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PLAIN_SECONDS
        if status is not None:
            for row in plain_rows(status):
                self._print("\t".join(row))
        for line in traffic(hospital):
            self._print(line)

    def _print(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def traffic(hospital: Hospital) -> list[str]:
    """Who sent what, and what arrived where."""
    lines = [
        f"{sender.name:<11} sent {sender.sent}, acknowledged {sender.answered}, "
        f"repeated {sender.repeated}"
        for sender in (hospital.his, hospital.lis)
    ]
    lines += [
        f"{account.name:<11} got {account.delivered} of {account.acknowledged}, "
        f"twice {account.duplicates}, under way {account.missing}"
        for account in (hospital.emr, hospital.ward)
    ]
    return lines


def summary_lines(summary: Summary) -> list[str]:
    """The end of a run, for a person and for a test."""
    lines = [
        f"sent {summary.sent} (repeated {summary.repeated}), "
        f"acknowledged {summary.acknowledged}, refused {summary.refused}",
        *(
            f"{receiver.name}: delivered {receiver.delivered} of {receiver.acknowledged} "
            f"acknowledged, duplicates {receiver.duplicates}"
            for receiver in summary.receivers
        ),
        f"engine starts {summary.starts}, dead {summary.dead}",
        f"lost={summary.lost}",
    ]
    if summary.lost:
        lines.append("not everything that was acknowledged arrived: see the engine's log")
    return lines
