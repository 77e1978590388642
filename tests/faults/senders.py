"""A hospital system that sends over HTTP, as careful as `engine.demo.sender` is over MLLP."""

from __future__ import annotations

import asyncio

from engine.demo.sender import Outgoing, SendingSystem

_CODES = {b"200": b"AA", b"202": b"AA", b"422": b"AR"}


class HttpSendingSystem(SendingSystem):
    """Posts each message as JSON that holds nothing but its number and its patient."""

    async def asked(
        self, message: Outgoing, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        writer.write(
            b"POST /in HTTP/1.1\r\nhost: carebus\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(message.body), message.body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(length)
        if b"\r\nconnection: close" in head.lower():
            await self._disconnect()
        return _CODES.get(head.split(b" ", 2)[1], b"AE")


def http_message(mark: str, number: int, patient: int) -> Outgoing:
    """One order; ``mark`` and the number are found again in whatever it becomes."""
    control_id = f"{mark}{number:010d}"
    body = f'{{"id": "{control_id}", "patient": "P{patient:07d}", "code": "24323-8"}}'
    return Outgoing(control_id, str(patient), body.encode())
