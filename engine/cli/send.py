"""``carebus send``: messages of files to a channel, and what it answers."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.exits import Exit

if TYPE_CHECKING:
    from engine.cli.sending import Answered

_SHOWN = 20


def send(
    files: Annotated[
        list[Path], typer.Argument(help="Files with one or more messages; - is standard input.")
    ],
    to: Annotated[str, typer.Option(help="mllp://host:port, mllps://…, http://… or https://…")],
    count: Annotated[
        int | None, typer.Option(min=1, help="So many in all, the files in turn.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, help="Messages a second; 0: no limit.")] = 0.0,
    connections: Annotated[int, typer.Option(min=1, max=256, help="At once.")] = 1,
    new_ids: Annotated[
        bool, typer.Option("--new-ids", help="Give each HL7 message a new MSH-10.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for each answer.")] = 10.0,
    header: Annotated[
        list[str] | None, typer.Option(help="HTTP only: 'Name: value'; may be repeated.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="TLS: trust this authority.", exists=True)] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every answer, also of many.")
    ] = False,
) -> None:
    """Send messages once each, and print what is answered.

    Exit code 0 when every one was acknowledged (AA, CA or HTTP 2xx), else 1.
    """
    from engine.cli import sending

    try:
        address = sending.address_of(to)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--to") from None
    messages = [
        message for file in files for message in sending.read_messages(file.name, _content(file))
    ]
    secure = address.scheme in ("mllps", "https")
    tls = ssl.create_default_context(cafile=ca) if secure else None
    connect = (
        sending.http(to, timeout, tls, _headers(header or []))
        if address.scheme.startswith("http")
        else sending.mllp(address, timeout, tls)
    )
    answers: list[Answered] = []
    total = count or len(messages)

    def report(answered: Answered) -> None:
        answers.append(answered)
        if verbose or total <= _SHOWN or not (answered.ok or _failures(answers) > _SHOWN):
            typer.echo(f"{answered.answer}\t{answered.name}\t{answered.seconds * 1000:.1f} ms")

    begin = time.perf_counter()
    prefix = f"{time.time_ns():x}-" if new_ids else None
    asyncio.run(
        sending.send_all(
            sending.repeated(messages, count, prefix),
            connect,
            connections=min(connections, total),
            rate=rate,
            report=report,
        )
    )
    if total > 1:
        typer.echo(_summary(answers, time.perf_counter() - begin), err=True)
    if _failures(answers) or len(answers) < total:
        raise typer.Exit(Exit.FAILED)


def _content(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None


def _headers(given: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for one in given:
        name, colon, value = one.partition(":")
        if not colon:
            raise typer.BadParameter("write 'Name: value'", param_hint="--header")
        headers[name.strip()] = value.strip()
    return headers


def _failures(answers: list[Answered]) -> int:
    return sum(not answered.ok for answered in answers)


def _summary(answers: list[Answered], seconds: float) -> str:
    times = sorted(answered.seconds * 1000 for answered in answers)
    failed = _failures(answers)
    text = f"{len(answers) - failed} acknowledged, {failed} not, in {seconds:.1f} s"
    if times and seconds:
        text += f" ({len(answers) / seconds:.0f}/s, "
        text += f"p50 {times[len(times) // 2]:.1f} ms, p99 {times[len(times) * 99 // 100]:.1f} ms)"
    return text
