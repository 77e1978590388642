"""TCP details: where to listen, how a peer is named, keep-alive."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

_IDLE = 60  # seconds of silence before the first probe
_INTERVAL = 15
_PROBES = 4


async def bound(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Sockets bound to every address of ``host``, not listening yet; ``shared`` with other
    processes, among which the system spreads connections.  Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if port == 0 and len(sockets) > 1:  # the same free port at every address
                where = (where[0], sockets[0].getsockname()[1], *where[2:])
            listener.bind(where)
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def address(peername: Any) -> str:
    """``host:port`` of a socket address, ``[host]:port`` for IPv6; empty when it is not known."""
    if not isinstance(peername, tuple) or len(peername) < 2:
        return ""
    host, port = peername[0], peername[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the system notice within two minutes that the other machine is gone.

    asyncio and uvloop set TCP_NODELAY by themselves; it is set here again for other loops.
    """
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
    except OSError:
        return  # the peer has gone meanwhile; the transport says so next
