"""A message of a file, as commands try it: read, parsed, with a context of its own."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from engine.contract import ChannelName, Document, MapContext, MessageId, Payload

if TYPE_CHECKING:
    from engine.config.model import Channel

# Every try-out has this id, so that the same file gives the same output.
ID = MessageId("00000000-0000-7000-8000-000000000000")


def read_payload(file: Path, format: str) -> Payload:
    """The file's bytes, or standard input's for ``-``.  HL7 v2 line ends of an editor become CR.

    Raises typer.BadParameter when it cannot be read.
    """
    from engine.cli.sending import read_messages

    if str(file) == "-":
        body = sys.stdin.buffer.read()
    else:
        try:
            body = file.read_bytes()
        except OSError as error:
            raise typer.BadParameter(f"{file}: {error.strerror}") from None
    if format == "hl7v2":
        body = next(read_messages(file.name, body)).body
    return Payload(body)


def context_of(channel: Channel | None = None, **params: Any) -> MapContext:
    return MapContext(
        ID,
        datetime.now(UTC),
        ChannelName(channel.name if channel else ""),
        params,
        channel.timezone if channel else None,
        channel.structures if channel else {},
    )


def parse(payload: Payload, format: str, charset: str | None = None) -> Document:
    """Raises FormatError."""
    from engine.formats import FORMATS

    return FORMATS[format].parse(payload, charset=charset)
