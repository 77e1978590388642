"""What the operating system tells the process: stop, stop now, read the project again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


class Signalled(Protocol):
    def stop(self, *, fast: bool) -> None: ...
    def hang_up(self) -> None: ...
    def exchange(self) -> None: ...


@contextmanager
def signals_for(process: Signalled) -> Iterator[None]:
    """Inside the block, in the running loop of the main thread: the first SIGTERM or SIGINT drains,
    the second cuts off what is being sent, a third kills; SIGHUP reloads; SIGUSR1 exchanges the
    engine processes one by one."""
    loop = asyncio.get_running_loop()
    seen = 0

    def stop() -> None:
        nonlocal seen
        seen += 1
        process.stop(fast=seen > 1)
        if seen > 1:
            for number in _STOPPING:
                loop.remove_signal_handler(number)

    handlers: dict[signal.Signals, Callable[[], None]] = {
        **dict.fromkeys(_STOPPING, stop),
        signal.SIGHUP: process.hang_up,
        signal.SIGUSR1: process.exchange,
    }
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
