"""``carebus schema``: JSON Schemas for editors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    CHANNEL = "channel"
    ROUTES = "routes"
    MAPPING = "mapping"
    TLS = "tls"


def schema(
    kind: Annotated[Kind | None, typer.Argument(help="Which kind of file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write all of them into this directory.")] = None,
) -> None:
    """Print the JSON Schema of a kind of file, for an editor that completes YAML.

    At the top of a file: # yaml-language-server: $schema=schemas/channel.json
    """
    import orjson

    from engine.config.connectors import find_connectors
    from engine.config.schema import schema as schema_of

    if (kind is None) == (out is None):
        raise typer.BadParameter("name a kind of file, or a directory with --out")
    connectors, _ = find_connectors()
    for one in Kind if kind is None else (kind,):
        text = orjson.dumps(schema_of(one.value, connectors), option=orjson.OPT_INDENT_2).decode()
        if out is None:
            typer.echo(text)
        else:
            out.mkdir(parents=True, exist_ok=True)
            path = out / f"{one}.json"
            path.write_text(text + "\n", encoding="utf-8")
            typer.echo(str(path))
