"""What ties an engine process to its supervisor: two pipes.

Through one the process says once that it runs.  The other brings it the token of the control
endpoint, which all processes share, and ends when the supervisor does, however that happened.  A
process whose supervisor is gone drains and stops, so that the next one finds nobody in its way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

READY: Final = b"ready\n"


@dataclass(frozen=True, slots=True)
class Leash:
    """The process's ends: file descriptors that it inherited."""

    life: int  # for reading: one line with the token; ends with the supervisor
    ready: int  # for writing

    @classmethod
    def parse(cls, text: str) -> Leash:
        """From ``LIFE:READY``.  Raises ValueError."""
        life, _, ready = text.partition(":")
        return cls(int(life), int(ready))

    def __str__(self) -> str:
        return f"{self.life}:{self.ready}"

    def token(self) -> str:
        """Of the control endpoint.  Once, before `hold`; empty when the supervisor is gone."""
        line = b""
        while not line.endswith(b"\n") and (read := os.read(self.life, 1)):
            line += read
        return line.decode("ascii").strip()

    def hold(self, gone: Callable[[], None]) -> None:
        """Call ``gone`` in the running loop once the supervisor has ended."""
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(self.life)
            os.close(self.life)
            gone()

        os.set_blocking(self.life, False)
        loop.add_reader(self.life, ended)

    def running(self) -> None:
        """Say that this process runs.  Once."""
        try:
            os.write(self.ready, READY)
        except OSError:
            return  # the supervisor is gone, and `hold` says so
        finally:
            os.close(self.ready)
