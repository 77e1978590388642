"""How every command reports what went wrong: what, where, what to do next, and an exit code."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from typer import Context, Exit
from typer.core import TyperGroup

from engine.cli.exits import Exit as Code
from engine.contract import ConfigError, EngineError, ErrorInfo, StoreError


class Reporting(TyperGroup):
    """The group of all commands: turns the documented errors into text and exit codes.

    Anything else is a defect and keeps its traceback.
    """

    def invoke(self, ctx: Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except EngineError as error:
            report(error.info)
            raise Exit(code_of(error)) from None


def code_of(error: EngineError) -> Code:
    given: Code | None = getattr(type(error), "exit_code", None)
    if given is not None:
        return given
    return Code.NOT_STARTED if isinstance(error, ConfigError | StoreError) else Code.FAILED


def report(info: ErrorInfo, stream: TextIO | None = None) -> None:
    """``error[P024]: no engine runs on var`` and the lines below it."""
    target = sys.stderr if stream is None else stream
    bold, red, end = ("\x1b[1m", "\x1b[31;1m", "\x1b[0m") if target.isatty() else ("", "", "")
    print(f"{red}error[{info.code}]{end}: {bold}{info.summary}{end}", file=target)
    if info.location:
        print(f"  --> {info.location}", file=target)
    if info.help:
        print(f"   = help: {info.help}", file=target)
