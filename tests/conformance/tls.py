"""TLS as the peers of the suites speak it: contexts from settings, and a sending system."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from engine.contract import Outcome
from engine.security.tls import TlsSettings, client_context, server_context
from engine.testing.harness import Gone
from engine.testing.peers import ClientDialect, TcpPeer


def contexts(settings: Any, server: bool) -> ssl.SSLContext:
    make = server_context if server else client_context
    return make(TlsSettings.model_validate(settings))


class TlsPeer(TcpPeer):
    """A sending system over TLS, on asyncio's streams."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        dialect: ClientDialect,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._dialect = dialect
        self._buffer = bytearray()

    async def write(self, wire: bytes) -> None:
        try:
            self._writer.write(wire)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise Gone from error

    async def answer(self) -> Outcome:
        while (outcome := self._dialect.take_answer(self._buffer)) is None:
            try:
                data = await self._reader.read(65536)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            self._buffer += data
        return outcome

    async def leave(self) -> None:
        self._writer.transport.abort()


async def call(port: int, settings: Mapping[str, Any], dialect: ClientDialect) -> TlsPeer:
    """Connect and shake hands, again and again while refused."""
    context = contexts(settings, False)
    async with asyncio.timeout(2):
        while True:
            try:
                streams = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname="localhost"
                )
            except ConnectionRefusedError:
                await asyncio.sleep(0.005)
            else:
                return TlsPeer(*streams, dialect)
