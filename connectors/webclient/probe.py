"""What ``carebus check`` tries of an HTTP peer before its channel is deployed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from connectors.webclient.client import HttpClient
from connectors.webclient.verdicts import Verdict
from engine.contract import Check, NotConnected, UncertainError

_REFUSED: Final = frozenset({401, 403, 407})
"""The credentials are wrong, whatever is asked for."""


async def probe(
    client: HttpClient, method: str, target: str, *, any_answer: bool = False
) -> Sequence[Check]:
    """Name, connection (with TLS where the address says so), one harmless request.

    ``any_answer``: the peer need not know the request, it only has to let us in.
    Stops at the first step that fails.  Opens the client for the time of the probe when it is not
    open.  Raises ConfigError when a certificate cannot be used.
    """
    opened = await client.open()
    try:
        return await _steps(client, method, target, any_answer)
    finally:
        if opened:
            await client.close(timedelta(seconds=1))


async def _steps(client: HttpClient, method: str, target: str, any_answer: bool) -> Sequence[Check]:
    host, port = client.peer
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return [Check("name", False, f"{host} is not known to the name service")]
    checks = [Check("name", True, str(found[0][4][0]))]
    try:
        await client.reach()
    except NotConnected as error:
        return [*checks, Check("connection", False, error.info.summary)]
    checks.append(Check("connection", True, f"{host}:{port}"))
    try:
        answer = await client.exchange(client.head(method, target, {}), b"")
    except (NotConnected, UncertainError) as error:
        return [*checks, Check("request", False, error.info.summary)]
    status = answer.status
    good = status not in _REFUSED if any_answer else client.verdict(answer) is Verdict.YES
    return [*checks, Check("request", good, f"{method} answered with {status}")]
