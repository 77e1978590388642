"""``carebus validate``: strict validation of files, as a channel's ``validate:`` does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.exits import Exit
from engine.cli.output import Form, print_json, print_table
from engine.contract import FormatError, Payload
from engine.formats import FORMATS
from engine.formats.detecting import detect
from engine.formats.validators import NoValidator, Validator, validator


class With(StrEnum):
    FAST = "fast"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Row:
    file: str
    place: str
    problem: str


def validate(
    files: Annotated[list[Path], typer.Argument(help="Messages, documents, resources.")],
    format: Annotated[
        str | None,
        typer.Option("--format", help="fhir, hl7v2, json, xml …; default: what each file is."),
    ] = None,
    how: Annotated[
        With, typer.Option("--with", help="complete: a second, slower library checks as well.")
    ] = With.FAST,
    schema: Annotated[
        Path | None, typer.Option(help="The JSON Schema (json) or XSD (xml, soap, cda).")
    ] = None,
    version: Annotated[str, typer.Option(help="Of FHIR: R4 or R5.")] = "R4",
    form: Annotated[Form, typer.Option("--as", help="table or json.")] = Form.TABLE,
) -> None:
    """Check files against the definitions of their format, or against a schema.

    Places are shown, values never.  Exit code 1 when something is wrong.
    """
    if format is not None and format not in FORMATS:
        raise typer.BadParameter(f"there is no format '{format}'")
    validators: dict[str, Validator] = {}
    rows: list[Row] = []
    for path in files:
        try:
            body = path.read_bytes()
        except OSError as error:
            raise typer.BadParameter(f"{path}: {error.strerror}") from None
        try:
            name = format or detect(body)
            if name not in validators:
                validators[name] = validator(
                    name, complete=how is With.COMPLETE, version=version, schema=schema
                )
            document = FORMATS[name].parse(Payload(body))
        except NoValidator as error:
            raise typer.BadParameter(f"{path}: {error}") from None
        except FormatError as error:
            rows.append(Row(str(path), "", f"{error.info.code}: {error.info.summary}"))
            continue
        found = validators[name](document)
        rows += [Row(str(path), one.place, one.problem) for one in found]
    if form is Form.JSON:
        print_json([{"file": one.file, "place": one.place, "problem": one.problem} for one in rows])
    elif rows:
        print_table(
            ("file", "place", "problem"), [(one.file, one.place, one.problem) for one in rows]
        )
    if rows:
        raise typer.Exit(Exit.FAILED)
    if form is Form.TABLE:
        typer.echo("no problems")
