"""The real engine as a child process: started, asked how it is, killed and started again.

`EngineChild` runs ``carebus run`` exactly as a hospital does; nothing of the engine is in the
process that watches it.  One owner uses it from one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from engine.api.access import URL_FILE, read_access
from engine.api.wire import status_from_json
from engine.flow.status import EngineStatus

_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 5.0
_READY_WITHIN = timedelta(seconds=60)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def taken_port(ports: Iterable[int]) -> int | None:
    """The first of these loopback ports that somebody listens on; None when all are free."""
    for port in ports:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return port
    return None


class EngineEnded(Exception):
    """The engine's process ended by itself; its last lines of log are in the text."""


class EngineChild:
    """``carebus run`` over one project and one data directory.

    ``listen`` is the port of its control endpoint on loopback, 0 for any.  The log goes to ``log``.
    ``options`` are further words of the command line, ``environ`` further variables.
    As a context manager it stops the process on leaving, at the latest with SIGKILL.
    """

    def __init__(
        self,
        project: Path,
        data: Path,
        *,
        log: Path,
        listen: int = 0,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.options = tuple(options)
        self.environ = dict(environ or {})
        self.project = project
        self.data = data
        self.listen = listen
        self.log = log
        self.starts = 0
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(timedelta(seconds=10))

    @property
    def pid(self) -> int:
        """Of the running process; raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the engine's process was not started")
        return self._process.pid

    @property
    def ended(self) -> bool:
        """The process was never started, or is gone."""
        return self._process is None or self._process.returncode is not None

    async def start(self) -> None:
        """Start the process; it is not ready yet.  Raises RuntimeError when it already runs."""
        if not self.ended:
            raise RuntimeError("the engine's process runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        (self.data / URL_FILE).unlink(missing_ok=True)  # a killed engine leaves it behind
        program = ["-m", "engine.cli", "run"]
        where = ["--config", str(self.project), "--data", str(self.data)]
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *program,
                *where,
                *self.options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    "CAREBUS_API_LISTEN": f"127.0.0.1:{self.listen}",
                    **self.environ,
                },
                start_new_session=True,  # Ctrl-C reaches the watcher, which stops it in order
            )
        self.starts += 1

    async def ready(self, within: timedelta = _READY_WITHIN) -> None:
        """Return when every inbound channel takes messages; destinations may still be away.

        Raises EngineEnded when it ends before that, TimeoutError after ``within``."""
        async with asyncio.timeout(within.total_seconds()):
            while True:
                if self.ended:
                    raise EngineEnded(self.last_words())
                status = await self.status()
                if status is not None and all(
                    channel.state.well
                    for channel in status.channels
                    if channel.direction == "inbound"
                ):
                    return
                await asyncio.sleep(_POLL_SECONDS)

    async def status(self) -> EngineStatus | None:
        """What the engine says about itself; None while it does not answer."""
        access = read_access(self.data)
        if access is None:
            return None
        address = urlsplit(access.url)
        request = (
            f"GET /api/v1/status HTTP/1.1\r\nhost: {address.netloc}\r\n"
            f"authorization: Bearer {access.token}\r\nconnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                try:
                    writer.write(request.encode("ascii"))
                    answer = await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return None
        head, _, body = answer.partition(b"\r\n\r\n")
        return status_from_json(body) if head.startswith(b"HTTP/1.1 200 ") else None

    async def kill(self) -> None:
        """SIGKILL, and return when that process is gone.  Harmless when it is."""
        process = self._process  # somebody who waits for its end may start the next one
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def gone(self) -> int | None:
        """Wait until the process has ended; its exit status (negative: the signal)."""
        return None if self._process is None else await self._process.wait()

    async def stop(self, grace: timedelta) -> int | None:
        """SIGTERM, and SIGKILL after ``grace``; the exit status, None when it never ran."""
        process = self._process
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace.total_seconds()):
                return await process.wait()
        except TimeoutError:
            await self.kill()
        return process.returncode

    def last_words(self, lines: int = 20) -> str:
        """The end of the engine's log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
