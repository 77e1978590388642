"""``carebus convert``: many files from one format to another, each by the mapping that takes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from engine.cli.exits import Exit
from engine.contract import EngineError, ErrorInfo, Payload, Stage

if TYPE_CHECKING:
    from engine.mapping import Converter, Ledger

_ENDINGS: Final = {"fhir": ".json", "json": ".json", "hl7v2": ".hl7"}
_TEXT_ENDINGS: Final = {"delimited": ".csv", "astm": ".astm"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One input, or one message of a batch, that gave no output."""

    file: str
    error: ErrorInfo

    def row(self) -> tuple[str, str, str, str, str]:
        error = self.error
        place = error.location or ""
        return self.file, error.code, error.summary, place, error.help or ""


def convert(
    files: Annotated[
        list[Path], typer.Argument(help="Messages, or batches of HL7 v2; - is standard input.")
    ],
    to: Annotated[str, typer.Option("--to", help="fhir, hl7v2, cda, json, xml …")],
    mapping: Annotated[
        str | None, typer.Option(help="Use this one, whatever the message's own type.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write each output here; without it, to standard output."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A project whose mappings/ are used; default: here when it has some, else those "
            "that come with Carebus."
        ),
    ] = None,
    now: Annotated[
        str | None, typer.Option(help="The time that $now gives; default: the message's own.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Of times without one: Asia/Shanghai.")] = (
        None
    ),
    charset: Annotated[
        str | None, typer.Option(help="Of a message that does not declare one.")
    ] = None,
    params: Annotated[
        list[str] | None, typer.Option(help="A parameter of the mapping: name=value.")
    ] = None,
    ledger: Annotated[
        bool,
        typer.Option(
            "--ledger", help="Beside each output, OUT/NAME.ledger.json: each leaf and who read it."
        ),
    ] = False,
) -> None:
    """Convert messages; their format, and the mapping that takes them, are found by content.

    The output of DIR/adt.hl7 is OUT/adt.json, .hl7 or .xml; the messages of a batch are numbered,
    adt-1, adt-2. The same file always gives the same output. What failed is listed with its
    reason (in a pipe, a line of JSON each), the others are converted all the same; exit code 1.
    """
    from engine.mapping import Converter
    from engine.mapping.mapfile import TARGETS
    from engine.syntax.nearest import did_you_mean

    if to not in TARGETS:
        hint = did_you_mean(to, TARGETS) or f"one of {', '.join(TARGETS)}"
        raise typer.BadParameter(f"'{to}' is no format that is written; {hint}", param_hint="--to")
    if ledger and out is None:
        raise typer.BadParameter("a ledger is written beside the output: give --out")
    folder = _mappings(config)
    converter = Converter(folder, shown=str(folder) if folder else "mappings")
    options = {
        "mapping": _name(converter, mapping),
        "now": _moment(now),
        "timezone": timezone,
        "charset": charset,
        "params": _params(params or []),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    written: dict[Path, Path] = {}
    failures: list[Failure] = []
    done = 0
    for file in _progress(files):
        for shown, name, found, account in _convert(converter, file, to, options, ledger):
            if isinstance(found, ErrorInfo):
                failures.append(Failure(shown, found))
                continue
            if out is None:
                _print(found)
            else:
                target = out / f"{name}{_ENDINGS.get(to) or _TEXT_ENDINGS.get(to, '.xml')}"
                if written.setdefault(target, file) != file:
                    failures.append(Failure(shown, _same_name(target, written[target])))
                    continue
                target.write_bytes(found.body)
                if account is not None:
                    (out / f"{name}.ledger.json").write_bytes(_ledger_json(account))
            done += 1
    _report(failures, sys.stdout if out is not None else sys.stderr)
    if failures or out is not None:
        typer.echo(f"{done} converted, {len(failures)} failed", err=True)
    if failures:
        raise typer.Exit(Exit.FAILED)


def _convert(
    converter: Converter, file: Path, to: str, options: dict[str, Any], ledger: bool
) -> Iterator[tuple[str, str, Payload | ErrorInfo, Ledger | None]]:
    """For each message of a file what to call it, the name of its output, how it went, and the
    ledger when one is wanted."""
    from engine.mapping.conversion import messages_of

    try:
        standard_input = str(file) == "-"
        body = sys.stdin.buffer.read() if standard_input else file.read_bytes()
        messages = messages_of(body)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        yield str(file), "", ErrorInfo("P040", f"reading failed: {reason}", Stage.RECEIVING), None
        return
    except EngineError as error:
        yield str(file), "", error.info, None
        return
    several = len(messages) > 1
    for number, body in enumerate(messages, start=1):
        shown, name = str(file), "message" if standard_input else file.stem
        if several:
            shown, name = f"{shown}[{number}]", f"{name}-{number}"
        try:
            ready = converter.prepare(body, to, **options)
            account = converter.ledger(ready) if ledger else None
            made = ready.mapping.render(ready.document, ready.context)
        except EngineError as error:
            yield shown, name, error.info, None
            continue
        yield shown, name, made, account


def _ledger_json(found: Ledger) -> bytes:
    import orjson

    counts = {str(use): count for use, count in sorted(found.counts.items())}
    leaves = [
        {
            "source": entry.place,
            "value": entry.value,
            "use": str(entry.use),
            "output": entry.targets,
            "rules": [str(rule) for rule in entry.rules],
        }
        for entry in found.entries
    ]
    whole = {"leaves": len(leaves), **counts, "mapped": round(found.mapped, 4), "ledger": leaves}
    return orjson.dumps(whole, option=orjson.OPT_INDENT_2)


def _mappings(config: Path | None) -> Path | None:
    """The folder of the project that was named or is here; None: the one that is shipped."""
    if config is not None:
        folder = config / "mappings"
        if not folder.is_dir():
            raise typer.BadParameter(f"there is no {folder}", param_hint="--config")
        return folder
    here = Path("mappings")
    return here if here.is_dir() else None


def _name(converter: Converter, given: str | None) -> str | None:
    if given is None:
        return None
    from engine.syntax.nearest import did_you_mean

    name = given.removeprefix("mappings/").removesuffix(".yaml")
    if name not in converter.catalogue.headers:
        hint = did_you_mean(name, converter.catalogue.headers)
        raise typer.BadParameter(
            f"there is no mapping '{given}'" + (f"; {hint}" if hint else ""), param_hint="--mapping"
        )
    return name


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    from engine.mapping import FunctionError
    from engine.mapping.functions.moments import read_moment

    try:
        return read_moment(text).as_datetime("UTC")
    except FunctionError as error:
        raise typer.BadParameter(str(error), param_hint="--now") from None


def _params(given: Sequence[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise typer.BadParameter("write name=value", param_hint="--params")
        params[name] = value
    return params


def _print(payload: Payload) -> None:
    """One after the other: JSON a line each, HL7 v2 with an empty line between."""
    body = payload.body
    if "hl7-v2" in payload.content_type and not sys.stdout.isatty():
        sys.stdout.buffer.write(body + (b"" if body.endswith(b"\r") else b"\r"))
    else:
        sys.stdout.buffer.write(body.replace(b"\r", b"\n").rstrip(b"\n") + b"\n")
    sys.stdout.flush()


def _same_name(target: Path, other: Path) -> ErrorInfo:
    return ErrorInfo(
        "P041",
        f"{other} was written to {target.name}",
        Stage.MAPPING,
        help="convert files of one name to different folders",
    )


def _progress(files: Sequence[Path]) -> Iterator[Path]:
    """The files; on a terminal, a line that counts them."""
    shown = sys.stderr.isatty() and len(files) > 20
    for number, file in enumerate(files, start=1):
        if shown and number % 10 == 1:
            sys.stderr.write(f"\r{number} of {len(files)} ")
            sys.stderr.flush()
        yield file
    if shown:
        sys.stderr.write("\r\x1b[K")


def _report(failures: Sequence[Failure], stream: TextIO) -> None:
    if not failures:
        return
    rows = [failure.row() for failure in failures]
    if not stream.isatty():
        import orjson

        for row in rows:
            keys = ("file", "code", "reason", "place", "help")
            found = {key: value for key, value in zip(keys, row, strict=True) if value}
            stream.write(orjson.dumps(found).decode() + "\n")
        return
    from engine.cli.output import print_table_to

    print_table_to(
        stream,
        ("file", "code", "place", "reason"),
        [
            (file, code, place, f"{reason}; {help}" if help else reason)
            for file, code, reason, place, help in rows
        ],
    )
